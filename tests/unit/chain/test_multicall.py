"""Packing by hand equals the ABI library, and what comes back is checked."""

from contextlib import suppress

import pytest
from eth_abi.abi import encode
from hypothesis import given, strategies as st

from keeper.abi import load_abi
from keeper.chain import multicall
from keeper.errors import Transient
from keeper.model.chain import Call, CallResult

CALLS = st.lists(st.builds(Call, st.binary(min_size=20, max_size=20), st.binary(max_size=100)), max_size=6)
RESULTS = st.lists(st.builds(CallResult, st.booleans(), st.binary(max_size=100)), max_size=6)


def packed(results: list[CallResult]) -> bytes:
    return encode(["(bool,bytes)[]"], [[(result.ok, result.data) for result in results]])


@given(CALLS)
def test_calldata_equals_the_abi_librarys(calls: list[Call]) -> None:
    read = load_abi("BulkReader").functions["read"]
    assert multicall.pack(calls) == read.encode([(call.to, call.data) for call in calls])


@given(RESULTS)
def test_results_come_back_as_they_were(results: list[CallResult]) -> None:
    assert multicall.unpack(packed(results), len(results)) == results


@given(RESULTS.filter(bool), st.data())
def test_an_answer_cut_short_is_transient_or_the_same(results: list[CallResult], data: st.DataObject) -> None:
    whole = packed(results)
    short = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with suppress(Transient):  # only padding was cut
        assert multicall.unpack(short, len(results)) == results


@given(RESULTS, st.integers(0, 8))
def test_another_number_of_results_is_transient(results: list[CallResult], count: int) -> None:
    if count != len(results):
        with pytest.raises(Transient):
            multicall.unpack(packed(results), count)


@given(st.binary(max_size=400), st.integers(0, 4))
def test_garbage_is_transient_or_results(data: bytes, count: int) -> None:
    with suppress(Transient):
        assert len(multicall.unpack(data, count)) == count


def test_the_readers_address_is_an_address() -> None:
    assert len(multicall.READER) == 20
