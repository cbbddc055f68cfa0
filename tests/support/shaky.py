"""A reader of a real node that gives no answer now and then, as nodes do."""

import random
from collections.abc import AsyncIterator, Sequence

from keeper.chain.ports import ChainReader
from keeper.errors import Transient
from keeper.model.chain import BlockRef, Call, CallResult, Log, LogFilter


class Shaky:
    """What the book asks of a `ChainReader`; each question fails with a probability."""

    def __init__(self, reader: ChainReader, dice: random.Random, chance: float = 0.1) -> None:
        self._reader = reader
        self._dice = dice
        self._chance = chance
        self.failed = 0

    def _shake(self) -> None:
        if self._dice.random() < self._chance:
            self.failed += 1
            raise Transient("no answer")

    async def head(self) -> BlockRef:
        return await self._reader.head()

    async def block_by_number(self, number: int) -> BlockRef:
        self._shake()
        return await self._reader.block_by_number(number)

    async def block_by_hash(self, block_hash: bytes) -> BlockRef:
        self._shake()
        return await self._reader.block_by_hash(block_hash)

    async def logs_at(self, block: BlockRef, wanted: LogFilter) -> list[Log]:
        self._shake()
        return await self._reader.logs_at(block, wanted)

    async def logs_between(self, first: int, last: int, wanted: LogFilter) -> AsyncIterator[list[Log]]:
        async for page in self._reader.logs_between(first, last, wanted):
            self._shake()
            yield page

    async def read(self, block: BlockRef, calls: Sequence[Call]) -> list[CallResult]:
        self._shake()
        return await self._reader.read(block, calls)
