"""Keeps a book at the head of the chain: first sync, block by block, through skipped blocks and reorgs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from keeper.book.audit import Auditor, Mismatch, audit_calls, mismatches
from keeper.book.book import Book
from keeper.chain.errors import StateMissing
from keeper.chain.ports import ChainReader
from keeper.errors import InvariantBroken, OperatorError, Transient
from keeper.model.chain import BlockRef, Call, CallResult, LogFilter
from keeper.model.events import BOOK_SYNCED, HEAD_DEEP_REORG, HEAD_REORG, Emit, Event
from keeper.protocols.base import Protocol, Snapshot

# Blocks below the head that are read one by one, by hash, so that a reorg just after the start can be taken back.
TAIL_BLOCKS = 16
_MOST_LOOKUPS = 32  # rounds
_LOOKS = 2  # at a block whose audit finds a difference
Progress = Callable[[int, int], None]  # blocks done, blocks in all
Results = tuple[CallResult, ...]
Beside = Callable[[], Sequence[Call]]  # what else to read in a block's bulk read


@dataclass(frozen=True, slots=True)
class Advance:
    """What one new head brought."""

    snapshot: Snapshot
    applied: int  # blocks folded
    logs: int
    dropped: tuple[BlockRef, ...]  # blocks taken back, newest first
    mismatches: tuple[Mismatch, ...]  # accounts whose local health differs from the contract's
    answers: tuple[CallResult, ...]  # to the protocol's reads
    beside: tuple[CallResult, ...]  # to what was read beside them


class BookSync:
    """The book of one protocol at the head of the chain.

    Costs two requests a block, whatever the number of accounts: the logs by block hash, and one bulk read of what
    no log announces, of the protocol and of the accounts that the block touched, together with the audit sample.
    """

    def __init__(
        self,
        reader: ChainReader,
        protocol: Protocol,
        start_block: int,
        emit: Emit,
        undo_blocks: int = 128,
        audit_accounts: int = 0,
        progress: Progress | None = None,
        beside: Beside = list,
    ) -> None:
        self._reader = reader
        self._protocol = protocol
        self._start_block = start_block
        self._emit = emit
        self._undo_blocks = undo_blocks
        self._auditor = Auditor(audit_accounts)
        self._progress = progress
        self._beside = beside
        self._synced = False  # there was a book once
        self._whole = True  # what no log announces was read at the book's head, too, and handled
        self.book = Book(protocol, undo_blocks)

    def look_again(self) -> None:
        """What the last head brought could not be used: bring it once more when the head is given again."""
        self._whole = False

    async def advance(self, head: BlockRef) -> Advance | None:
        """Bring the book to `head`. None when the book is there already, or past it.

        Where no node has the state of `head` any more, or yet, the newest block is tried instead, once. Raises
        Transient when the node cannot say what happened; the book then stands at an earlier block, whole.
        """
        try:
            return await self._advance(head)
        except StateMissing:
            newer = await self._reader.head()
            if newer.hash == head.hash:
                raise
            return await self._advance(newer)

    async def _advance(self, head: BlockRef) -> Advance | None:
        if self.book.head is None:
            await self._resync(head)
            return await self._read(0, 0, ())
        if (depth := self.book.depth_of(head.hash)) is not None:
            return None if depth or self._whole else await self._read(0, 0, ())
        if head.number - self.book.head.number > self._undo_blocks:
            await self._catch_up(head)
            return await self._read(0, 0, ())
        path = await self._path_to(head)
        if path is None:
            return await self._replace_all(head)
        depth = self.book.depth_of(path[-1].parent)
        watched = self._wanted()
        dropped = self.book.roll_back(depth or 0)
        if dropped:
            self._report_reorg(dropped, path)
        if self._wanted() != watched:  # a listing was taken back: what older blocks say of it must go, too
            await self._begin_anew(head)
            return await self._read(0, 0, tuple(dropped))
        logs = 0
        for block in reversed(path):
            logs += await self._apply(block)
        await self._look_up_here()
        if self._wanted() != watched:  # what was just listed may have logs that nobody asked for
            await self._begin_anew(head)
        return await self._read(len(path), logs, tuple(dropped))

    def _wanted(self) -> LogFilter:
        return self._protocol.log_filter(self.book.state)

    async def _apply(self, block: BlockRef) -> int:
        logs = await self._reader.logs_at(block, self._wanted())
        self.book.apply(block, logs)
        return len(logs)

    async def _look_up(self, book: Book) -> None:
        """What logs name but do not describe, at the book's head."""
        for _ in range(_MOST_LOOKUPS):
            if not (asked := self._protocol.lookups(book.state)):
                return
            assert book.head is not None
            book.learn(self._protocol.looked_up(book.state, await self._reader.read(book.head, asked)))
        raise InvariantBroken(f"{self._protocol.name} still asks after {_MOST_LOOKUPS} rounds of lookups")

    async def _look_up_here(self) -> None:
        """For the book as it stands. What it wants to watch depends on the answers, so without them it begins anew."""
        try:
            await self._look_up(self.book)
        except BaseException:
            self.book = Book(self._protocol, self._undo_blocks)
            raise

    async def _path_to(self, head: BlockRef) -> list[BlockRef] | None:
        """Blocks from `head` down to a child of one the book knows; None when the fork is deeper than its layers."""
        path = [head]
        while self.book.depth_of(path[-1].parent) is None:
            if path[-1].number <= self.book.oldest + 1:
                return None
            parent = await self._reader.block_by_hash(path[-1].parent)
            if parent.hash != path[-1].parent or parent.number != path[-1].number - 1:
                raise Transient(f"asked for the parent of block {path[-1]}, got {parent}")
            path.append(parent)
        return path

    async def _replace_all(self, head: BlockRef) -> Advance:
        old = self.book
        await self._resync(head)
        assert old.head is not None
        depth = old.head.number - old.oldest + 1
        message = f"a reorg deeper than {depth - 1} blocks: all accounts were rebuilt"
        fields = {"depth": depth, "dropped": _hash(old.head), "adopted": _hash(head)}
        self._emit(Event(HEAD_REORG, message, head.number, fields))
        self._emit(Event(HEAD_DEEP_REORG, message, head.number, fields))
        return await self._read(0, 0, tuple(old.recent(depth)))

    async def _begin_anew(self, head: BlockRef) -> None:
        """Read all again, as the book lacks logs or has too many: until that is done there is none."""
        self.book = Book(self._protocol, self._undo_blocks)
        await self._resync(head)

    async def _resync(self, head: BlockRef) -> None:
        """A new book from the first block on; the old one stays in place until the new one is whole.

        What is watched may grow while logs are folded, as protocols list things: then all is read again, for all of it.
        """
        started = time.monotonic()
        wanted, known = self._protocol.log_filter(self._protocol.initial_state()), None
        while known != wanted:
            book = Book(self._protocol, self._undo_blocks)
            try:
                logs = await self._load(book, self._start_block, head, wanted)
                await self._look_up(book)
            except InvariantBroken as error:
                if self._synced:
                    raise
                raise OperatorError(f"{self._mistaken()} ({error})") from None
            known, wanted = wanted, self._protocol.log_filter(book.state)
        await self._cross_check(book)
        self.book = book
        self._synced = True
        fields = {
            "accounts": len(book.columns),
            "logs": logs,
            "from_block": self._start_block,
            "elapsed_s": round(time.monotonic() - started, 3),
        }
        self._emit(Event(BOOK_SYNCED, f"{len(book.columns)} accounts rebuilt from {logs} logs", head.number, fields))

    async def _cross_check(self, book: Book) -> None:
        """Raises OperatorError when the contract says something else than its logs."""
        checks = self._protocol.cross_checks(book.state)
        assert book.head is not None
        results = await self._reader.read(book.head, [call for call, _ in checks]) if checks else []
        if any(not result.ok or result.data != wanted for result, (_, wanted) in zip(results, checks, strict=True)):
            raise OperatorError(self._mistaken())

    def _mistaken(self) -> str:
        return (
            f"KEEPER_DEPLOYMENT: the logs from block {self._start_block} on do not tell what the contract says: "
            "the address is another contract's, or start_block is later than its deployment"
        )

    async def _catch_up(self, head: BlockRef) -> None:
        """Many blocks were missed: fold them by range when the book's head is still canonical, else begin anew."""
        known = self.book.head
        assert known is not None
        same = await self._reader.block_by_number(known.number)
        if same.hash != known.hash:
            await self._resync(head)
            return
        watched = self._wanted()
        try:
            await self._load(self.book, known.number + 1, head, watched)
            await self._look_up(self.book)
        except BaseException:
            self.book = Book(self._protocol, self._undo_blocks)  # half folded: the next head begins anew
            raise
        if self._wanted() != watched:
            await self._begin_anew(head)

    async def _load(self, book: Book, first: int, head: BlockRef, wanted: LogFilter) -> int:
        """Fold canonical blocks first..head: by range up to the tail, then one by one by hash. Returns logs folded."""
        base_number = max(first - 1, head.number - TAIL_BLOCKS, 0)
        tail = [head]
        while tail[-1].number > base_number:
            tail.append(await self._reader.block_by_hash(tail[-1].parent))
        base = tail.pop()
        total = max(base.number - first + 1, 1)
        count = 0
        pages = self._reader.logs_between(first, base.number, wanted) if base.number >= first else None
        if pages is not None:
            async for page in pages:
                book.load(page)
                count += len(page)
                if page and self._progress:
                    self._progress(page[-1].block_number - first + 1, total)
        book.rebase(base)
        for block in reversed(tail):
            logs = await self._reader.logs_at(block, wanted)
            book.apply(block, logs)
            count += len(logs)
        return count

    async def _read(self, applied: int, logs: int, dropped: tuple[BlockRef, ...]) -> Advance:
        """One bulk read at the head: what no log announces, and the contract's own view of the audit sample.

        A difference counts only when it is there again: a node that is between two blocks may answer with the state of
        one and the time of the other.
        """
        self._whole = False
        rows = self._auditor.choose(self.book)
        unread = set(self.book.unread)
        for _ in range(_LOOKS):
            self.book.unread |= unread
            snapshot, found, answers, other = await self._look(rows)
            if not found:
                break
        self._whole = True
        return Advance(snapshot, applied, logs, dropped, found, answers, other)

    async def _look(self, rows: Sequence[int]) -> tuple[Snapshot, tuple[Mismatch, ...], Results, Results]:
        """The book with what was read at its head, differences in these rows, and the answers: ours, and what stood
        beside."""
        head = self.book.head
        assert head is not None
        calls = self._protocol.reads(self.book.state)
        asked = {account: self._protocol.account_reads(self.book.state, account) for account in self.book.unread}
        of_accounts = [call for found in asked.values() for call in found]
        beside = self._beside()
        audits = audit_calls(self._protocol, self.book.snapshot(None), rows)
        wanted = [*calls, *of_accounts, *beside, *audits]
        results = iter(await self._reader.read(head, wanted) if wanted else ())
        answers = tuple(islice(results, len(calls)))
        self.book.take_in({account: tuple(islice(results, len(found))) for account, found in asked.items()})
        snapshot = self.book.snapshot(self._protocol.decode_reads(self.book.state, answers))
        other = tuple(islice(results, len(beside)))
        return snapshot, mismatches(self._protocol, snapshot, rows, tuple(results)), answers, other

    def _report_reorg(self, dropped: list[BlockRef], path: list[BlockRef]) -> None:
        message = f"{len(dropped)} blocks replaced from block {dropped[-1].number} on"
        fields = {"depth": len(dropped), "dropped": _hash(dropped[0]), "adopted": _hash(path[0])}
        self._emit(Event(HEAD_REORG, message, path[0].number, fields))


def _hash(block: BlockRef) -> str:
    return "0x" + block.hash.hex()


async def load_snapshot(
    reader: ChainReader,
    protocol: Protocol,
    start_block: int,
    number: int | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Every account as of one block (the newest when None), from logs and one read. Raises Transient."""
    block = await reader.head() if number is None else await reader.block_by_number(number)
    follower = BookSync(reader, protocol, start_block, lambda _: None, undo_blocks=TAIL_BLOCKS, progress=progress)
    advance = await follower.advance(block)
    assert advance is not None
    return advance.snapshot
