"""Columns of exact integers for every account, with an undo log. Plain memory, no I/O.

A value is a signed 128-bit integer in two numpy limbs: exact for decisions, one multiply-add away from float64 for
screening. Of 1,000,000 accounts, one with three holdings of three values each costs 247 bytes, index and spare capacity
included (measured by `benchmarks/memory.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ADDRESS_BYTES = 20
_LOW = (1 << 64) - 1
_NONE = -1


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A kind of holding: a row for each account and asset, with named signed 128-bit values.

    `exposure`: a row says that the account holds, or once held, a position or debt, not only a deposit.
    """

    name: str
    columns: tuple[str, ...]
    exposure: bool = False


class Int128Column:
    """Signed 128-bit integers in two limbs."""

    __slots__ = ("_high", "_low")

    def __init__(self, capacity: int) -> None:
        self._low = np.zeros(capacity, dtype=np.uint64)
        self._high = np.zeros(capacity, dtype=np.int64)

    def resize(self, capacity: int) -> None:
        self._low = np.resize(self._low, capacity)
        self._high = np.resize(self._high, capacity)

    def __getitem__(self, row: int) -> int:
        return (int(self._high[row]) << 64) | int(self._low[row])

    def __setitem__(self, row: int, value: int) -> None:
        """Raises OverflowError beyond 128 bits."""
        self._high[row] = value >> 64
        self._low[row] = value & _LOW

    def floats(self, count: int) -> np.ndarray:
        """The first `count` values as float64, each within one part in 2**52."""
        high, low = self._high[:count], self._low[:count]
        small = low.view(np.int64)
        # A small negative value is -2**64 + (2**64 - n): the sum in float64 would lose n.
        fits = high == small >> 63
        return np.where(fits, small.astype(np.float64), high.astype(np.float64) * 2.0**64 + low.astype(np.float64))

    @property
    def nbytes(self) -> int:
        return self._low.nbytes + self._high.nbytes


class Accounts:
    """Addresses and their rows: an append-only table behind an open-addressing index."""

    def __init__(self, capacity: int = 64) -> None:
        self._addresses = np.zeros((capacity, ADDRESS_BYTES), dtype=np.uint8)
        self._slots = np.full(capacity * 4, _NONE, dtype=np.int32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def address(self, row: int) -> bytes:
        return bytes(self._addresses[row])

    def row(self, address: bytes) -> int | None:
        """The row of an address, None when it has none."""
        found = int(self._slots[self._slot(address)])
        return None if found == _NONE else found

    def add(self, address: bytes) -> int:
        """Append an address that has no row."""
        if self._count == len(self._addresses):
            self._grow()
        row = self._count
        self._addresses[row] = np.frombuffer(address, dtype=np.uint8)
        self._slots[self._slot(address)] = row
        self._count += 1
        return row

    def pop(self) -> None:
        """Undo the last `add`."""
        self._count -= 1
        self._slots[self._slot(self.address(self._count))] = _NONE

    def _slot(self, address: bytes) -> int:
        size = len(self._slots)
        slot = int.from_bytes(address[-8:], "big") * 0x9E3779B97F4A7C15 % (1 << 64) % size
        while (row := int(self._slots[slot])) != _NONE and self._addresses[row].tobytes() != address:
            slot = (slot + 1) % size
        return slot

    def _grow(self) -> None:
        capacity = len(self._addresses) * 2
        grown = np.zeros((capacity, ADDRESS_BYTES), dtype=np.uint8)
        grown[: self._count] = self._addresses
        self._addresses = grown
        self._slots = np.full(capacity * 4, _NONE, dtype=np.int32)
        for row in range(self._count):
            self._slots[self._slot(self.address(row))] = row

    @property
    def nbytes(self) -> int:
        return self._addresses.nbytes + self._slots.nbytes


class Table:
    """Rows of one kind of holding. The rows of an account form a linked list, so no index of pairs is kept."""

    def __init__(self, spec: TableSpec, capacity: int = 64) -> None:
        self.spec = spec
        self._account = np.zeros(capacity, dtype=np.int32)
        self._asset = np.zeros(capacity, dtype=np.int16)
        self._next = np.zeros(capacity, dtype=np.int32)
        self._values = tuple(Int128Column(capacity) for _ in spec.columns)
        self._first = np.full(capacity, _NONE, dtype=np.int32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def accounts(self) -> np.ndarray:
        """int32 (rows,): the account row of each row."""
        return self._account[: self._count]

    @property
    def assets(self) -> np.ndarray:
        """int16 (rows,): the asset of each row, an id that the adapter gives."""
        return self._asset[: self._count]

    def floats(self, column: str) -> np.ndarray:
        """float64 (rows,): the values of one column."""
        return self._values[self.spec.columns.index(column)].floats(self._count)

    def values(self, row: int) -> tuple[int, ...]:
        """The exact values of one row, in the order of the spec."""
        return tuple(column[row] for column in self._values)

    def holdings(self, account: int) -> list[tuple[int, tuple[int, ...]]]:
        """(asset, values) of an account, without zero rows, by asset."""
        found = [(int(self._asset[row]), self.values(row)) for row in self._rows(account)]
        return sorted((asset, values) for asset, values in found if any(values))

    def find(self, account: int, asset: int) -> int | None:
        """The row of an account's asset, None when it never had one."""
        return next((row for row in self._rows(account) if int(self._asset[row]) == asset), None)

    def get(self, account: int, asset: int) -> tuple[int, ...]:
        """The values of an account's asset, zeros when it never had one."""
        row = self.find(account, asset)
        return (0,) * len(self._values) if row is None else self.values(row)

    def set(self, row: int, values: Sequence[int]) -> None:
        for column, value in zip(self._values, values, strict=True):
            column[row] = value

    def append(self, account: int, asset: int, values: Sequence[int]) -> int:
        if self._count == len(self._account):
            self._grow()
        while account >= len(self._first):
            self._first = np.concatenate([self._first, np.full(len(self._first), _NONE, dtype=np.int32)])
        row = self._count
        self._account[row] = account
        self._asset[row] = asset
        self._next[row] = self._first[account]
        self.set(row, values)
        self._first[account] = row
        self._count += 1
        return row

    def pop(self) -> None:
        """Undo the last `append`."""
        self._count -= 1
        self._first[self._account[self._count]] = self._next[self._count]

    def _rows(self, account: int) -> Iterator[int]:
        row = int(self._first[account]) if account < len(self._first) else _NONE
        while row != _NONE:
            yield row
            row = int(self._next[row])

    def _grow(self) -> None:
        capacity = len(self._account) * 5 // 4  # a quarter to spare at most: rows are most of the memory
        self._account = np.resize(self._account, capacity)
        self._asset = np.resize(self._asset, capacity)
        self._next = np.resize(self._next, capacity)
        for column in self._values:
            column.resize(capacity)

    @property
    def nbytes(self) -> int:
        own = self._account.nbytes + self._asset.nbytes + self._next.nbytes + self._first.nbytes
        return own + sum(column.nbytes for column in self._values)


@dataclass(frozen=True, slots=True)
class Undo:
    """How to undo one write: `old` is None for a row that was appended, `table` None for an account."""

    table: str | None
    row: int
    old: tuple[int, ...] | None


class Columns:
    """All accounts of one protocol."""

    def __init__(self, specs: Sequence[TableSpec]) -> None:
        self.accounts = Accounts()
        self.tables = {spec.name: Table(spec) for spec in specs}

    def __len__(self) -> int:
        return len(self.accounts)

    def __getitem__(self, table: str) -> Table:
        return self.tables[table]

    def holdings(self, account: int) -> dict[str, list[tuple[int, tuple[int, ...]]]]:
        """Everything an account holds, by table, for comparing two books."""
        return {name: table.holdings(account) for name, table in self.tables.items()}

    def revert(self, undo: Sequence[Undo]) -> None:
        """Undo writes, newest first."""
        for entry in reversed(undo):
            if entry.table is None:
                self.accounts.pop()
            elif entry.old is None:
                self.tables[entry.table].pop()
            else:
                self.tables[entry.table].set(entry.row, entry.old)

    @property
    def nbytes(self) -> int:
        return self.accounts.nbytes + sum(table.nbytes for table in self.tables.values())


class Writer:
    """The only way to change columns: it records how to undo each change."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.undo: list[Undo] = []
        self.touched: set[int] = set()

    def get(self, table: str, address: bytes, asset: int) -> tuple[int, ...]:
        """Current values, zeros when the account never held the asset."""
        account = self.columns.accounts.row(address)
        target = self.columns[table]
        return (0,) * len(target.spec.columns) if account is None else target.get(account, asset)

    def touch(self, address: bytes) -> int:
        """The account's row, made if missing; the account's own reads are made again."""
        account = self.columns.accounts.row(address)
        if account is None:
            account = self.columns.accounts.add(address)
            self.undo.append(Undo(None, account, None))
        self.touched.add(account)
        return account

    def put(self, table: str, address: bytes, asset: int, values: Sequence[int]) -> None:
        """Set the values of an account's asset; account and row are made if missing."""
        account = self.touch(address)
        target = self.columns[table]
        row = target.find(account, asset)
        if row is None:
            self.undo.append(Undo(table, target.append(account, asset, values), None))
        else:
            self.undo.append(Undo(table, row, target.values(row)))
            target.set(row, values)
