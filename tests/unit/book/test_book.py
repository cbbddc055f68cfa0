"""The book: blocks are applied whole, taken back whole, and refused when they do not follow."""

import pytest
from hypothesis import given, strategies as st

from keeper.book.book import Book, differences
from keeper.errors import InvariantBroken
from keeper.model.chain import BlockRef, Log
from keeper.protocols.columns import TableSpec, Writer


class BalanceProtocol:
    """The smallest protocol: a log sets the balance of its address; the state counts logs."""

    tables = (TableSpec("balances", ("amount",)),)

    def initial_state(self) -> int:
        return 0

    def fold(self, state: int, log: Log, writer: Writer) -> int:
        amount = int.from_bytes(log.data, "big", signed=True)
        if amount == -1:
            raise InvariantBroken("cannot be decoded")
        writer.put("balances", log.address, 0, (amount,))
        return state + 1


def block(number: int, fork: int = 0, parent: BlockRef | None = None) -> BlockRef:
    return BlockRef(number, bytes([fork, number]), parent.hash if parent else b"", timestamp=number)


def log(account: int, amount: int, at: BlockRef) -> Log:
    data = amount.to_bytes(16, "big", signed=True)
    return Log(bytes([account]) * 20, (), data, at.number, at.hash, 0)


def new_book(undo_blocks: int = 100) -> Book:
    book = Book(BalanceProtocol(), undo_blocks)  # type: ignore[arg-type]
    book.rebase(block(0))
    return book


CHANGES = st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1000)), max_size=4), min_size=1, max_size=12)


def extend(book: Book, changes: list[list[tuple[int, int]]], fork: int) -> None:
    for entries in changes:
        assert book.head is not None
        following = block(book.head.number + 1, fork, book.head)
        book.apply(following, [log(account, amount, following) for account, amount in entries])


@given(CHANGES, CHANGES, CHANGES)
def test_a_book_that_followed_a_fork_and_came_back_equals_one_that_never_did(
    common: list[list[tuple[int, int]]], lost: list[list[tuple[int, int]]], kept: list[list[tuple[int, int]]]
) -> None:
    wandering, straight = new_book(), new_book()
    extend(wandering, common, 0)
    extend(wandering, lost, 1)
    assert len(wandering.roll_back(len(lost))) == len(lost)
    extend(wandering, kept, 2)
    extend(straight, common, 0)
    extend(straight, kept, 2)
    assert differences(wandering.columns, straight.columns) == []
    assert wandering.state == straight.state
    assert wandering.head == straight.head


def test_a_block_that_does_not_follow_the_head_is_refused() -> None:
    book = new_book()
    extend(book, [[(1, 5)]], 0)
    with pytest.raises(InvariantBroken):
        book.apply(block(3, 0, book.head), [])
    with pytest.raises(InvariantBroken):
        book.apply(block(2, 0, block(1, 7)), [])


def test_a_block_that_cannot_be_folded_leaves_the_book_as_it_was() -> None:
    book, untouched = new_book(), new_book()
    extend(book, [[(1, 5)]], 0)
    extend(untouched, [[(1, 5)]], 0)
    following = block(2, 0, book.head)
    with pytest.raises(InvariantBroken):
        book.apply(following, [log(1, 6, following), log(2, 7, following), log(3, -1, following)])
    assert differences(book.columns, untouched.columns) == []
    assert (book.head, book.state) == (untouched.head, untouched.state)


def test_only_the_newest_blocks_can_be_taken_back() -> None:
    book = new_book(undo_blocks=3)
    extend(book, [[(1, number)] for number in range(1, 8)], 0)
    assert book.oldest == 4
    assert book.depth_of(bytes([0, 4])) == 3
    assert book.depth_of(bytes([0, 3])) is None


def test_differences_name_the_account() -> None:
    one, other = new_book(), new_book()
    extend(one, [[(1, 5), (2, 6)]], 0)
    extend(other, [[(1, 5), (2, 7), (3, 1)]], 0)
    found = differences(one.columns, other.columns)
    assert [line.split(":")[0] for line in found] == ["0x" + "02" * 20, "0x" + "03" * 20]
