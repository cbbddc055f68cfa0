"""A live keeper amid a crash, its node behind the fault proxy: where the tests of chain faults begin and end.

async with storm(tmp_path) as weather:
    weather.proxy.when("eth_getLogs").do(html())
    await weather.play(3)
    await weather.settle()  # calm weather, until everything has ended; then the invariants
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from keeper.model.events import BOOK_PARITY_FAILED, TX_MINED, EventKind
from keeper.observe.metrics import Metrics
from keeper.sim.arena import Running, arena_node, running
from keeper.sim.node.anvil import Anvil
from keeper.sim.records import BlockRecord
from tests.support import harsh
from tests.support.invariants import assert_invariants, journal_of
from tests.support.proxy import FaultProxy

CALM_BLOCKS = 16
_INTO_THE_CRASH = 12


@dataclass
class Storm:
    """A market that crashes, a keeper that has begun to liquidate, and what is between it and its node."""

    anvil: Anvil
    arena: harsh.EngineArena
    proxy: FaultProxy
    keeper: Running

    async def step(self) -> BlockRecord:
        """One block, whether the keeper sees it or not."""
        return await self.arena.step()

    async def play(self, blocks: int) -> BlockRecord:
        """Blocks, each handled by the keeper before the next one."""
        assert blocks
        for _ in range(blocks):
            record = await self.arena.step()
            await self.keeper.handled(record.number)
        return record

    async def settle(self) -> None:
        """No faults and still prices until every intent has ended; then the seven invariants."""
        self.proxy.clear()
        for _ in range(CALM_BLOCKS):
            await self.keeper.handled((await self.arena.quiet()).number)
            if all(intent.state.final for intent in journal_of(self.keeper.daemon.settings)):
                break
        assert not self.keeper.of(BOOK_PARITY_FAILED)
        assert self.keeper.of(TX_MINED)
        await assert_invariants(self.arena, [self.proxy], [self.keeper])

    def codes(self, *kinds: EventKind) -> list[str]:
        """The codes of these kinds of events, in order."""
        return [event.kind.code for event in self.keeper.events if event.kind in kinds]

    def asked(self, who: str, since: int = 0) -> set[str]:
        """The methods that came to one of the proxy's URLs, after so many requests."""
        return {call.method for call in self.proxy.seen[since:] if call.who == who}


@asynccontextmanager
async def storm(
    directory: Path, who: Sequence[str] = ("",), pushed: bool = False, begun: bool = True, **changes: Any
) -> AsyncIterator[Storm]:
    """who: the keeper's endpoints, all at one proxy: rules and the record tell them apart. pushed: WebSockets.

    begun: the crash is under way when the body starts, and something was liquidated.
    """
    with arena_node() as anvil:
        arena = harsh.arena(anvil, directory, accounts=30, blocks=40, seed=3)
        async with FaultProxy(anvil.url) as proxy:
            urls = tuple(SecretStr(f"{proxy.ws_url if pushed else proxy.url}/{name}".rstrip("/")) for name in who)
            settings = arena.settings(proxy.url, live=True, **{"rpc_urls": urls, **changes})
            async with running(settings) as keeper:
                weather = Storm(anvil, arena, proxy, keeper)
                if begun:
                    await weather.play(_INTO_THE_CRASH)
                    while not keeper.of(TX_MINED):
                        await weather.play(1)
                yield weather


def health_of(keeper: Running) -> tuple[int, str]:
    """What `/healthz` answers after the keeper's events so far."""
    from http.client import HTTPConnection

    metrics = Metrics()
    metrics.serve(0)
    try:
        for event in keeper.events:
            metrics(event)
        assert metrics.port
        connection = HTTPConnection("127.0.0.1", metrics.port, timeout=10)
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        found = answer.status, answer.read().decode().strip()
        connection.close()
        return found
    finally:
        metrics.close()
