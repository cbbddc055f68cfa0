"""The book: every account of one protocol as of one block, with the newest blocks revocable."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from keeper.errors import InvariantBroken
from keeper.model.chain import BlockRef, CallResult, Log
from keeper.protocols.base import Protocol, Snapshot
from keeper.protocols.columns import Columns, Undo, Writer


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one block changed: enough to roll it back."""

    block: BlockRef
    undo: tuple[Undo, ...]
    state_before: Any
    read: frozenset[bytes] = frozenset()  # accounts that were read at this block


class Book:
    """State folded from logs, one layer a block for the newest `undo_blocks` blocks.

    A block is applied whole or not at all. The block below the oldest layer cannot be rolled back.
    """

    def __init__(self, protocol: Protocol, undo_blocks: int) -> None:
        self.protocol = protocol
        self.columns = Columns(protocol.tables)
        self.state = protocol.initial_state()
        self.touched: set[int] = set()  # account rows that the newest block changed
        self.unread: set[bytes] = set()  # accounts that were touched since they were read, or whose reads were dropped
        self._base: BlockRef | None = None
        self._layers: deque[_Layer] = deque()
        self._undo_blocks = undo_blocks

    @property
    def head(self) -> BlockRef | None:
        """The newest block applied, None before the first."""
        return self._layers[-1].block if self._layers else self._base

    @property
    def oldest(self) -> int:
        """Number of the oldest block that a rollback can end on."""
        return self._base.number if self._base else 0

    def depth_of(self, block_hash: bytes) -> int | None:
        """How many blocks above it would have to be rolled back; None when it is not among the newest."""
        for depth, layer in enumerate(reversed(self._layers)):
            if layer.block.hash == block_hash:
                return depth
        return len(self._layers) if self._base and self._base.hash == block_hash else None

    def load(self, logs: Iterable[Log]) -> None:
        """Fold final logs, which cannot be rolled back. Call `rebase` afterwards."""
        writer = Writer(self.columns)
        state = self.state
        for log in logs:
            state = self.protocol.fold(state, log, writer)
            writer.undo.clear()
        self.state = state
        self.unread.update(map(self.columns.accounts.address, writer.touched))

    def rebase(self, block: BlockRef) -> None:
        """Set the block of the book's state; it and older blocks cannot be rolled back."""
        self._base = block
        self._layers.clear()

    def apply(self, block: BlockRef, logs: Iterable[Log]) -> None:
        """Fold one block on top of the head. Raises InvariantBroken when it is not the head's child.

        On any error the book is unchanged.
        """
        head = self.head
        if head is None or block.parent != head.hash or block.number != head.number + 1:
            raise InvariantBroken(f"block {block} is not the child of {head}")
        writer = Writer(self.columns)
        state = self.state
        try:
            for log in logs:
                state = self.protocol.fold(state, log, writer)
        except BaseException:
            self.columns.revert(writer.undo)
            raise
        self._layers.append(_Layer(block, tuple(writer.undo), self.state))
        self.state = state
        self.touched = writer.touched
        self.unread.update(map(self.columns.accounts.address, writer.touched))
        if len(self._layers) > self._undo_blocks:
            self._base = self._layers.popleft().block

    def learn(self, state: Any) -> None:
        """Set the state after lookups at the head, as a part of its block."""
        self.state = state

    def take_in(self, answers: Mapping[bytes, Sequence[CallResult]]) -> None:
        """Fold reads of accounts at the head, as a part of its block. Unknown accounts and empty reads are skipped."""
        writer = Writer(self.columns)
        row = self.columns.accounts.row
        known = {account: found for account, found in answers.items() if found and row(account) is not None}
        try:
            for account, results in known.items():
                self.protocol.fold_account(self.state, account, results, writer)
        except BaseException:
            self.columns.revert(writer.undo)
            raise
        self.unread.difference_update(answers)
        if self._layers:
            top = self._layers.pop()
            undo = (*top.undo, *writer.undo)
            self._layers.append(replace(top, undo=undo, read=top.read.union(known)))

    def roll_back(self, depth: int) -> list[BlockRef]:
        """Roll back the newest `depth` blocks and return them, newest first."""
        dropped = []
        for _ in range(depth):
            layer = self._layers.pop()
            self.columns.revert(layer.undo)
            self.state = layer.state_before
            self.unread |= layer.read
            dropped.append(layer.block)
        self.touched = set()
        return dropped

    def snapshot(self, readings: Any) -> Snapshot:
        """The book as of its head, with what was read at that block."""
        if self.head is None:
            raise InvariantBroken("the book is empty")
        return Snapshot(self.head, self.state, self.columns, readings)

    def recent(self, count: int) -> list[BlockRef]:
        """The newest applied blocks, newest first."""
        return [layer.block for layer in islice(reversed(self._layers), count)]


def differences(ours: Columns, theirs: Columns) -> list[str]:
    """Accounts whose holdings differ between two books, as sentences; empty when they agree integer for integer."""
    found = []
    for row in range(len(ours)):
        address = ours.accounts.address(row)
        other = theirs.accounts.row(address)
        mine = ours.holdings(row)
        yours = theirs.holdings(other) if other is not None else {name: [] for name in mine}
        if mine != yours:
            found.append(f"0x{address.hex()}: {mine} != {yours}")
    for row in range(len(theirs)):
        address = theirs.accounts.address(row)
        if ours.accounts.row(address) is None and any(theirs.holdings(row).values()):
            found.append(f"0x{address.hex()}: unknown here")
    return found
