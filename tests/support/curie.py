"""Real Perpetual Protocol v2 on a node, and the adapter beside it, kept at the head by the daemon's own follower."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from keeper.book.discovery import discover
from keeper.book.follower import Follower
from keeper.chain.connect import connect
from keeper.demo.anvil import Anvil
from keeper.demo.curie import DEMO, Bed, Listing, deploy
from keeper.demo.node import Node
from keeper.model.chain import Call, hexed, unhexed
from keeper.protocols.base import Deployment, Snapshot
from keeper.protocols.curie import CurieProtocol


def account(index: int) -> bytes:
    """An address of a test account."""
    return bytes.fromhex(f"c0{index:038x}")


@dataclass
class CurieBench:
    """A deployed market and the adapter's view of it. Blocks are mined by hand; nothing else moves time."""

    anvil: Anvil
    node: Node
    bed: Bed
    protocol: CurieProtocol
    follower: Follower
    chain: Any
    loop: asyncio.AbstractEventLoop
    last: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Everything the adapter knows at the head."""
        return self.loop.run_until_complete(self._advance())

    async def _advance(self) -> Snapshot:
        advance = await self.follower.advance(await self.chain.reader.head())
        if advance is not None:
            self.last = advance.snapshot
        assert self.last is not None
        return self.last

    def resync(self) -> Snapshot:
        """Begin anew from the first log, as a keeper that was just started."""
        self.follower = Follower(self.chain.reader, self.protocol, self.bed.start_block, lambda _: None)
        return self.snapshot()

    def view(self, call: Call, timestamp: int | None = None) -> bytes | None:
        """What a view returns at the head, or in a block after it at `timestamp`; None when it reverts."""
        request = {"to": hexed(call.to), "data": hexed(call.data)}
        override = [] if timestamp is None else [{}, {"time": hex(timestamp)}]
        try:
            return unhexed(self.anvil.rpc("eth_call", request, "latest", *override))
        except Exception as error:
            if "revert" in str(error):
                return None
            raise


@contextmanager
def curie_bench(listing: Listing = DEMO, executor: bytes = b"", **options: Any) -> Iterator[CurieBench]:
    """A node with the protocol deployed and followed."""
    loop = asyncio.new_event_loop()
    with Anvil(mining=False, **options) as anvil:
        bed = deploy(Node.at(anvil.url), listing)
        stack = AsyncExitStack()
        try:
            bench = loop.run_until_complete(_bench(anvil, bed, executor, stack, loop))
            yield bench
        finally:
            loop.run_until_complete(stack.aclose())
            loop.close()


async def _bench(
    anvil: Anvil, bed: Bed, executor: bytes, stack: AsyncExitStack, loop: asyncio.AbstractEventLoop
) -> CurieBench:
    contracts = {"ClearingHouse": bed.contracts["ClearingHouse"]} | ({"Executor": executor} if executor else {})
    chain = await stack.enter_async_context(await connect([anvil.url], bed.chain_id, 30, lambda _: None))
    protocol = await discover(
        chain.reader, CurieProtocol(Deployment("curie", bed.chain_id, bed.start_block, contracts))
    )
    assert isinstance(protocol, CurieProtocol)
    follower = Follower(chain.reader, protocol, bed.start_block, lambda _: None)
    return CurieBench(anvil, bed.node, bed, protocol, follower, chain, loop)
