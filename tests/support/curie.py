"""Real Perpetual Protocol v2 on a node, and the adapter beside it, kept at the head by the daemon's own follower."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from keeper.book.audit import Mismatch, audit_calls, mismatches
from keeper.book.discovery import discover
from keeper.book.sync import BookSync
from keeper.chain.connect import connect
from keeper.model.chain import unhexed
from keeper.protocols.base import Deployment, Means, Snapshot
from keeper.protocols.curie import CurieProtocol
from keeper.sim.bench import Bench
from keeper.sim.markets.curie import DEMO, CurieListing, DeployedCurie, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node
from tests.support.executors import OPERATOR, Hand

__all__ = ["OPERATOR", "CurieBench", "account", "curie_bench"]


def account(index: int) -> bytes:
    """An address of a test account."""
    return bytes.fromhex(f"c0{index:038x}")


@dataclass(eq=False, repr=False)
class CurieBench(Bench):
    """A deployed market and the adapter's view of it. Blocks are mined by hand; nothing else moves time."""

    deployed: DeployedCurie
    executor: bytes
    protocol: CurieProtocol
    follower: BookSync
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
        self.follower = BookSync(self.chain.reader, self.protocol, self.deployed.start_block, lambda _: None)
        return self.snapshot()

    def went_back(self) -> None:
        """The node was put back to an older block: so is the book."""
        head = unhexed(self.anvil.block()["hash"])
        depth = self.follower.book.depth_of(head)
        if depth is None:
            self.resync()
        else:
            self.follower.book.roll_back(depth)
            self.follower.look_again()
            self.snapshot()

    def differences(self, snapshot: Snapshot, timestamp: int) -> list[Mismatch]:
        """Accounts whose local views differ from the contracts', were the next block at that time."""
        later = replace(snapshot, block=replace(snapshot.block, timestamp=timestamp))
        rows = range(len(snapshot.columns))
        results = self.read(audit_calls(self.protocol, later, rows), timestamp=timestamp)
        return list(mismatches(self.protocol, later, rows, results))


@contextmanager
def curie_bench(listing: CurieListing = DEMO, means: Means | None = None, **options: Any) -> Iterator[CurieBench]:
    """A node with the protocol and an executor deployed, and followed."""
    loop = asyncio.new_event_loop()
    with Anvil(mining=False, **options) as anvil:
        deployed = deploy(Node.at(anvil.url), listing)
        executor = Hand.on(anvil, deployed.node, deployed.exits.uniswap.factory).executor
        stack = AsyncExitStack()
        try:
            bench = loop.run_until_complete(_bench(anvil, deployed, executor, means or Means(), stack, loop))
            yield bench
        finally:
            loop.run_until_complete(stack.aclose())
            loop.close()


async def _bench(
    anvil: Anvil,
    deployed: DeployedCurie,
    executor: bytes,
    means: Means,
    stack: AsyncExitStack,
    loop: asyncio.AbstractEventLoop,
) -> CurieBench:
    contracts = {"ClearingHouse": deployed.contracts["ClearingHouse"], "Executor": executor}
    chain = await stack.enter_async_context(await connect([anvil.url], deployed.chain_id, 30, lambda _: None))
    deployment = Deployment("curie", deployed.chain_id, deployed.start_block, contracts, means)
    protocol = await discover(chain.reader, CurieProtocol(deployment))
    assert isinstance(protocol, CurieProtocol)
    follower = BookSync(chain.reader, protocol, deployed.start_block, lambda _: None)
    return CurieBench(anvil, deployed.node, deployed, executor, protocol, follower, chain, loop)
