"""What is read by account: whatever blocks, reads and reorgs came, the book ends as one that was synced afresh."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from keeper.book.book import Book, differences
from keeper.errors import InvariantBroken
from keeper.model.chain import BlockRef, Call, CallResult, Log
from keeper.protocols.base import Defaults
from keeper.protocols.columns import TableSpec, Writer

UNDO_BLOCKS = 6
BROKEN = CallResult(False, b"")


class Shares(Defaults):
    """A log says that an account changed, never by how much."""

    tables = (TableSpec("shares", ("amount",)),)

    def initial_state(self) -> int:
        return 0

    def fold(self, state: int, log: Log, writer: Writer) -> int:
        writer.touch(log.address)
        return state + 1

    def account_reads(self, state: int, account: bytes) -> list[Call]:
        return [Call(account, b"shares")]

    def fold_account(self, state: int, account: bytes, results: Sequence[CallResult], writer: Writer) -> None:
        writer.put("shares", account, 0, [int.from_bytes(results[0].data, "big")])
        if not results[0].ok:
            raise InvariantBroken("no answer")


Changes = dict[int, int]  # account -> by how much a block changes it


class Fork:
    """The canonical chain as a node would tell it, and a book that follows it."""

    def __init__(self) -> None:
        self.blocks = [BlockRef(0, b"genesis", b"", 0)]
        self.changes: list[Changes] = [{}]
        self.mined = 0
        self.book = Book(Shares(), UNDO_BLOCKS)  # type: ignore[arg-type]
        self.book.rebase(self.blocks[0])

    def mine(self, changes: Changes) -> None:
        self.mined += 1
        parent = self.blocks[-1]
        block = BlockRef(parent.number + 1, b"%d" % self.mined, parent.hash, parent.number + 1)
        self.blocks.append(block)
        self.changes.append(changes)
        self.book.apply(block, logs_of(block, changes))

    def reorg(self, depth: int) -> None:
        depth = min(depth, len(self.blocks) - 1, UNDO_BLOCKS, self.book.head.number - self.book.oldest)  # type: ignore[union-attr]
        if depth:
            self.book.roll_back(depth)
            del self.blocks[-depth:], self.changes[-depth:]

    def shares(self, account: bytes) -> int:
        """What a node says at the head."""
        return sum(block.get(account[0], 0) for block in self.changes)

    def read(self) -> None:
        """The bulk read at the head."""
        self.book.take_in({account: [self.answer(account)] for account in self.book.unread})

    def answer(self, account: bytes) -> CallResult:
        return CallResult(True, self.shares(account).to_bytes(32, "big"))

    def fresh(self) -> Book:
        """A book that is synced at the head, from all logs at once."""
        book = Book(Shares(), UNDO_BLOCKS)  # type: ignore[arg-type]
        for block, changes in zip(self.blocks, self.changes, strict=True):
            book.load(logs_of(block, changes))
        book.rebase(self.blocks[-1])
        book.take_in({account: [self.answer(account)] for account in book.unread})
        return book


def logs_of(block: BlockRef, changes: Changes) -> list[Log]:
    return [Log(bytes([account]) * 20, (), b"", block.number, block.hash, 0) for account in changes]


BLOCK = st.dictionaries(st.integers(1, 6), st.integers(1, 1_000), max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mine"), BLOCK),
        st.tuples(st.just("reorg"), st.integers(1, 4)),
        st.tuples(st.just("read"), st.none()),
    ),
    min_size=6,
    max_size=40,
)


@given(STEPS)
def test_any_blocks_missed_reads_and_reorgs_end_with_the_columns_of_a_fresh_sync(
    steps: list[tuple[str, Changes | int | None]],
) -> None:
    fork = Fork()
    for what, detail in steps:
        if isinstance(detail, dict):
            fork.mine(detail)
        elif isinstance(detail, int):
            fork.reorg(detail)
        else:
            fork.read()
            assert differences(fork.book.columns, fork.fresh().columns) == [], what
            assert fork.book.unread == set()
    fork.read()
    assert differences(fork.book.columns, fork.fresh().columns) == []
    assert fork.book.state == fork.fresh().state


@given(STEPS)
def test_what_a_rolled_back_block_had_read_is_what_it_was_before(steps: list[tuple[str, Changes | int | None]]) -> None:
    fork = Fork()
    fork.mine({1: 5, 2: 7})
    fork.read()
    before = {row: fork.book.columns.holdings(row) for row in range(len(fork.book.columns))}
    depth = 0
    for _, detail in steps[: UNDO_BLOCKS - 1]:
        if isinstance(detail, dict):
            fork.mine(detail)
            depth += 1
        else:
            fork.read()
    if depth:
        fork.read()
        fork.reorg(depth)
    assert {row: fork.book.columns.holdings(row) for row in range(len(fork.book.columns))} == before or not depth


def test_an_answer_that_cannot_be_folded_leaves_the_book_as_it_was_and_the_account_unread() -> None:
    fork = Fork()
    fork.mine({1: 5, 2: 7})
    good, bad = bytes([1]) * 20, bytes([2]) * 20
    with pytest.raises(InvariantBroken):
        fork.book.take_in({good: [fork.answer(good)], bad: [BROKEN]})
    assert fork.book.columns.holdings(0) == fork.book.columns.holdings(1) == {"shares": []}
    assert fork.book.unread == {good, bad}
    fork.read()
    assert differences(fork.book.columns, fork.fresh().columns) == []


def test_an_account_that_a_reorg_took_away_is_not_brought_back_by_an_answer() -> None:
    fork = Fork()
    fork.mine({1: 5})
    asked = {account: [fork.answer(account)] for account in fork.book.unread}
    fork.reorg(1)
    fork.book.take_in(asked)
    assert len(fork.book.columns) == 0
    assert fork.book.unread == set()
