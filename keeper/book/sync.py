"""Keeps a book at the head of the chain: first sync, block by block, through skipped blocks and reorgs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from keeper.book.audit import Mismatch
from keeper.book.head_read import HeadReader
from keeper.book.loader import TAIL_BLOCKS, BookLoader
from keeper.chain.errors import StateMissing
from keeper.chain.ports import ChainReader
from keeper.errors import Transient
from keeper.model.chain import BlockRef, Call, CallResult, LogFilter, hexed
from keeper.model.events import BOOK_SYNCED, HEAD_DEEP_REORG, HEAD_REORG, Emit, Event
from keeper.protocols.base import Protocol, Snapshot


@dataclass(frozen=True, slots=True)
class Advance:
    """What one new head brought."""

    snapshot: Snapshot
    applied: int  # blocks folded
    logs: int
    dropped: tuple[BlockRef, ...]  # blocks rolled back, newest first
    mismatches: tuple[Mismatch, ...]  # accounts whose local health differs from the contract's
    answers: tuple[CallResult, ...]  # to the protocol's reads
    beside: tuple[CallResult, ...]  # to what was read beside them


class BookSync:
    """The book of one protocol at the head of the chain.

    Two requests a block for any number of accounts: the logs by block hash, and one bulk read of what no log announces
    (of the protocol and of the accounts that the block touched) together with the audit.
    """

    def __init__(
        self,
        reader: ChainReader,
        protocol: Protocol,
        start_block: int,
        emit: Emit,
        undo_blocks: int = 128,
        audit_accounts: int = 0,
    ) -> None:
        self._reader = reader
        self._protocol = protocol
        self._start_block = start_block
        self._emit = emit
        self._undo_blocks = undo_blocks
        self._loader = BookLoader(reader, protocol, start_block, undo_blocks)
        self._head_reader = HeadReader(reader, protocol, audit_accounts)
        self._whole = True  # the bulk read at the book's head was done and handled
        self.book = self._loader.empty()

    def look_again(self) -> None:
        """The last head could not be handled: `advance` returns it once more when it is given again."""
        self._whole = False

    async def advance(self, head: BlockRef, beside: Sequence[Call] = ()) -> Advance | None:
        """Bring the book to `head`. None when it is there already, or past it.

        beside: calls of the caller's own, for the block's bulk read. When no node has the state of `head`, the newest
        block is tried instead, once. Raises Transient when a node cannot serve a read; the book is then consistent, at
        an earlier block or empty.
        """
        try:
            return await self.move_to(head, beside)
        except StateMissing:
            newer = await self._reader.head()
            if newer.hash == head.hash:
                raise
            return await self.move_to(newer, beside)

    async def move_to(self, head: BlockRef, beside: Sequence[Call] = ()) -> Advance | None:
        """As `advance`, for this block and no other. Raises StateMissing where no node has its state."""
        if self.book.head is None:
            await self._resync(head)
            return await self._read(beside)
        if (depth := self.book.depth_of(head.hash)) is not None:
            return None if depth or self._whole else await self._read(beside)
        if head.number - self.book.head.number > self._undo_blocks:
            await self._catch_up(head)
            return await self._read(beside)
        path = await self._path_to(head)
        if path is None:
            dropped = await self._replace_all(head)
            return await self._read(beside, dropped=dropped)
        return await self._follow(path, beside)

    async def _follow(self, path: list[BlockRef], beside: Sequence[Call]) -> Advance:
        """Roll back to the parent of the path's oldest block, and apply the path, which is newest first."""
        head = path[0]
        watched = self._wanted()
        dropped = self.book.roll_back(self.book.depth_of(path[-1].parent) or 0)
        if dropped:
            self._report_reorg(dropped, path)
        if self._wanted() != watched:  # a listing was rolled back: its older logs must go, too
            await self._start_over(head)
            return await self._read(beside, dropped=dropped)
        logs = 0
        for block in reversed(path):
            logs += await self._apply(block)
        await self._look_up()
        if self._wanted() != watched:  # a new listing may have older logs, which were not asked for
            await self._start_over(head)
        return await self._read(beside, len(path), logs, dropped)

    def _wanted(self) -> LogFilter:
        return self._protocol.log_filter(self.book.state)

    async def _apply(self, block: BlockRef) -> int:
        logs = await self._reader.logs_at(block, self._wanted())
        self.book.apply(block, logs)
        return len(logs)

    async def _look_up(self) -> None:
        """Do the lookups. On an error the book is dropped, as its log filter depends on the answers."""
        try:
            await self._loader.look_up(self.book)
        except BaseException:
            self.book = self._loader.empty()
            raise

    async def _path_to(self, head: BlockRef) -> list[BlockRef] | None:
        """Blocks from `head` down to a child of a block in the book; None when the fork is deeper than the book."""
        path = [head]
        while self.book.depth_of(path[-1].parent) is None:
            if path[-1].number <= self.book.oldest + 1:
                return None
            parent = await self._reader.block_by_hash(path[-1].parent)
            if parent.hash != path[-1].parent or parent.number != path[-1].number - 1:
                raise Transient(f"unusable answer: asked for the parent of block {path[-1]}, got block {parent}")
            path.append(parent)
        return path

    async def _replace_all(self, head: BlockRef) -> list[BlockRef]:
        """A reorg deeper than the book can roll back: read all logs again. Returns the dropped blocks."""
        old = self.book
        await self._resync(head)
        assert old.head is not None
        depth = old.head.number - old.oldest + 1
        message = f"reorg deeper than {depth - 1} blocks: rebuilt all accounts from logs"
        fields = {"depth": depth, "dropped": hexed(old.head.hash), "adopted": hexed(head.hash)}
        self._emit(Event(HEAD_REORG, message, head.number, fields))
        self._emit(Event(HEAD_DEEP_REORG, message, head.number, fields))
        return old.recent(depth)

    async def _start_over(self, head: BlockRef) -> None:
        """Drop the book, which lacks logs or has too many, and read all logs again."""
        self.book = self._loader.empty()
        await self._resync(head)

    async def _resync(self, head: BlockRef) -> None:
        """Build a new book from the start block; the old one is kept until the new one is complete."""
        started = time.monotonic()
        self.book, logs = await self._loader.rebuild(head)
        accounts = len(self.book.columns)
        fields = {
            "accounts": accounts,
            "logs": logs,
            "from_block": self._start_block,
            "elapsed_s": round(time.monotonic() - started, 3),
        }
        self._emit(Event(BOOK_SYNCED, f"rebuilt {accounts} accounts from {logs} logs", head.number, fields))

    async def _catch_up(self, head: BlockRef) -> None:
        """After many missed blocks: fold them by range while the book's head is canonical, else read all logs again."""
        known = self.book.head
        assert known is not None
        same = await self._reader.block_by_number(known.number)
        if same.hash != known.hash:
            await self._resync(head)
            return
        watched = self._wanted()
        try:
            await self._loader.extend(self.book, known.number + 1, head, watched)
            await self._loader.look_up(self.book)
        except BaseException:
            self.book = self._loader.empty()  # half folded: the next head starts over
            raise
        if self._wanted() != watched:
            await self._start_over(head)

    async def _read(
        self, beside: Sequence[Call], applied: int = 0, logs: int = 0, dropped: Sequence[BlockRef] = ()
    ) -> Advance:
        self._whole = False
        found = await self._head_reader.read(self.book, beside)
        self._whole = True
        return Advance(found.snapshot, applied, logs, tuple(dropped), found.mismatches, found.answers, found.beside)

    def _report_reorg(self, dropped: list[BlockRef], path: list[BlockRef]) -> None:
        message = f"reorg: {len(dropped)} blocks replaced from block {dropped[-1].number} on"
        fields = {"depth": len(dropped), "dropped": hexed(dropped[0].hash), "adopted": hexed(path[0].hash)}
        self._emit(Event(HEAD_REORG, message, path[0].number, fields))


async def load_snapshot(
    reader: ChainReader, protocol: Protocol, start_block: int, number: int | None = None
) -> Snapshot:
    """Every account as of one block (the newest when None), from logs and one read.

    Raises Transient: StateMissing where no node has the state of block `number` any more.
    """
    sync = BookSync(reader, protocol, start_block, lambda _: None, undo_blocks=TAIL_BLOCKS)
    if number is None:
        advance = await sync.advance(await reader.head())
    else:
        advance = await sync.move_to(await reader.block_by_number(number))
    assert advance is not None
    return advance.snapshot
