"""Columns: exact integers, an index of addresses, and writes that can be taken back."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from keeper.protocols.columns import Accounts, Columns, Int128Column, TableSpec, Writer

SPECS = (TableSpec("balances", ("amount",)), TableSpec("positions", ("size", "cost", "funding")))
INT128 = st.integers(-(2**127), 2**127 - 1)
ADDRESSES = st.integers(0, 40).map(lambda number: number.to_bytes(2, "big") * 10)
WRITES = st.lists(
    st.tuples(st.booleans(), ADDRESSES, st.integers(0, 5), st.tuples(INT128, INT128, INT128)), max_size=60
)


def write(writer: Writer, is_position: bool, address: bytes, asset: int, values: tuple[int, int, int]) -> None:
    writer.put("positions", address, asset, values) if is_position else writer.put(
        "balances", address, asset, values[:1]
    )


def contents(columns: Columns) -> dict[bytes, object]:
    return {columns.accounts.address(row): columns.holdings(row) for row in range(len(columns))}


@given(INT128)
def test_a_column_keeps_every_128_bit_integer_exactly(value: int) -> None:
    column = Int128Column(2)
    column[1] = value
    assert column[1] == value
    assert column.floats(2)[1] == pytest.approx(float(value), rel=2**-51)


@pytest.mark.parametrize("value", [2**127, -(2**127) - 1])
def test_a_value_beyond_128_bits_is_refused(value: int) -> None:
    with pytest.raises(OverflowError):
        Int128Column(1)[0] = value


@given(st.sets(st.binary(min_size=20, max_size=20), max_size=300))
def test_the_index_finds_every_address_that_was_added_and_no_other(addresses: set[bytes]) -> None:
    accounts = Accounts(capacity=1)
    ordered = sorted(addresses)
    rows = {address: accounts.add(address) for address in ordered[::2]}
    assert {address: accounts.row(address) for address in ordered} == {
        address: rows.get(address) for address in ordered
    }


@given(WRITES)
def test_columns_hold_what_was_written_last(writes: list[tuple[bool, bytes, int, tuple[int, int, int]]]) -> None:
    columns = Columns(SPECS)
    writer = Writer(columns)
    model: dict[tuple[bool, bytes, int], tuple[int, ...]] = {}
    for is_position, address, asset, values in writes:
        write(writer, is_position, address, asset, values)
        model[is_position, address, asset] = values if is_position else values[:1]
    for (is_position, address, asset), values in model.items():
        assert writer.get("positions" if is_position else "balances", address, asset) == values
    held = sum(len(rows) for row in range(len(columns)) for rows in columns.holdings(row).values())
    assert held == sum(any(values) for values in model.values())
    for name, table in columns.tables.items():
        for column in table.spec.columns:
            exact = [table.values(row)[table.spec.columns.index(column)] for row in range(len(table))]
            np.testing.assert_allclose(columns[name].floats(column), [float(value) for value in exact], rtol=2**-51)


@given(WRITES, WRITES)
def test_taking_writes_back_restores_everything(
    kept: list[tuple[bool, bytes, int, tuple[int, int, int]]],
    undone: list[tuple[bool, bytes, int, tuple[int, int, int]]],
) -> None:
    columns = Columns(SPECS)
    first = Writer(columns)
    for entry in kept:
        write(first, *entry)
    before, sizes = contents(columns), [len(table) for table in columns.tables.values()]
    second = Writer(columns)
    for entry in undone:
        write(second, *entry)
    columns.revert(second.undo)
    assert contents(columns) == before
    assert [len(table) for table in columns.tables.values()] == sizes
    for is_position, address, asset, values in kept:
        write(Writer(columns), is_position, address, asset, values)
    assert contents(columns).keys() == before.keys()
