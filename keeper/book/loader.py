"""Builds a book from all logs, or adds a range of logs to one."""

from keeper.book.book import Book
from keeper.chain.ports import ChainReader
from keeper.errors import InvariantBroken, OperatorError
from keeper.model.chain import BlockRef, LogFilter
from keeper.protocols.base import Protocol

# Blocks below the head that are read one by one, by hash, so that a reorg just after the start can be rolled back.
TAIL_BLOCKS = 16
_MOST_LOOKUPS = 32  # rounds


class BookLoader:
    """Reads logs of one protocol into books. Methods raise Transient when a node cannot serve what they ask."""

    def __init__(self, reader: ChainReader, protocol: Protocol, start_block: int, undo_blocks: int) -> None:
        self._reader = reader
        self._protocol = protocol
        self._start_block = start_block
        self._undo_blocks = undo_blocks
        self._succeeded = False  # a book was built once, so the deployment file is right

    def empty(self) -> Book:
        return Book(self._protocol, self._undo_blocks)

    async def rebuild(self, head: BlockRef) -> tuple[Book, int]:
        """A book of all logs from the start block to `head`, and the number of logs.

        The log filter may grow while logs are folded, as protocols list markets: then all logs are read again with the
        larger filter. Raises OperatorError when the first book does not match the contract.
        """
        wanted, known = self._protocol.log_filter(self._protocol.initial_state()), None
        while known != wanted:
            book = self.empty()
            try:
                logs = await self.extend(book, self._start_block, head, wanted)
                await self.look_up(book)
            except InvariantBroken as error:
                if self._succeeded:
                    raise
                raise OperatorError(f"{self._mistaken()} ({error})") from None
            known, wanted = wanted, self._protocol.log_filter(book.state)
        await self._cross_check(book)
        self._succeeded = True
        return book, logs

    async def look_up(self, book: Book) -> None:
        """Read what logs name but do not describe, at the book's head."""
        for _ in range(_MOST_LOOKUPS):
            if not (asked := self._protocol.lookups(book.state)):
                return
            assert book.head is not None
            book.learn(self._protocol.looked_up(book.state, await self._reader.read(book.head, asked)))
        raise InvariantBroken(f"adapter {self._protocol.name} asked for more than {_MOST_LOOKUPS} rounds of lookups")

    async def extend(self, book: Book, first: int, head: BlockRef, wanted: LogFilter) -> int:
        """Fold canonical blocks first..head: by range up to the tail, then one by one by hash. Returns logs folded."""
        base_number = max(first - 1, head.number - TAIL_BLOCKS, 0)
        tail = [head]
        while tail[-1].number > base_number:
            tail.append(await self._reader.block_by_hash(tail[-1].parent))
        base = tail.pop()
        count = 0
        if base.number >= first:
            async for page in self._reader.logs_between(first, base.number, wanted):
                book.load(page)
                count += len(page)
        book.rebase(base)
        for block in reversed(tail):
            logs = await self._reader.logs_at(block, wanted)
            book.apply(block, logs)
            count += len(logs)
        return count

    async def _cross_check(self, book: Book) -> None:
        """Raises OperatorError when the contract's views differ from the state rebuilt from logs."""
        checks = self._protocol.cross_checks(book.state)
        assert book.head is not None
        results = await self._reader.read(book.head, [call for call, _ in checks]) if checks else []
        if any(not result.ok or result.data != wanted for result, (_, wanted) in zip(results, checks, strict=True)):
            raise OperatorError(self._mistaken())

    def _mistaken(self) -> str:
        return (
            f"KEEPER_DEPLOYMENT: state rebuilt from logs since block {self._start_block} does not match the contract: "
            "the address is another contract's, or start_block is later than its deployment"
        )
