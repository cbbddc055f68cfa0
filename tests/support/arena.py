"""The demo's market on a node of its own, and the very daemon that operators run, steered block by block."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from keeper.app.daemon import Daemon
from keeper.model.events import HEAD_NEW, Event, EventKind
from keeper.model.health import WAD
from keeper.settings import Settings
from keeper.sim.keeper import CHAIN_ID, JOURNAL, DemoFiles, make_signer, prepare
from keeper.sim.markets.margin_engine.deploy import deploy
from keeper.sim.markets.margin_engine.market import EngineSimMarket
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node
from keeper.sim.player import GAS_LIMIT, Player
from keeper.sim.records import BlockRecord
from keeper.sim.scenario import CALM_DEMAND, Scenario, build_scenario
from tests.support import harsh

WAIT_S = 90.0


@dataclass
class Arena:
    """A seeded market. Blocks are mined by `step`; nothing happens in between."""

    anvil: Anvil
    market: EngineSimMarket
    scenario: Scenario
    player: Player
    files: DemoFiles
    keeper: bytes
    played: int = 0
    opened: int = 0  # the block in which everything stood ready

    @classmethod
    def on(cls, anvil: Anvil, directory: Path, accounts: int = 60, blocks: int = 40, seed: int = 1) -> "Arena":
        """Deploy and open the accounts on a node that was started by `arena_node`."""
        files = prepare(directory)
        node = Node.at(anvil.url)
        scenario = build_scenario(seed, accounts, blocks, harsh.LISTING, harsh.weather(blocks))
        market = EngineSimMarket(node, deploy(node, harsh.LISTING))
        keeper = make_signer(files)
        anvil.set_balance(keeper, 1_000 * WAD)
        node.send(market.deployed.mint("USDC", keeper, 100_000_000 * 10**6))
        market.deployed.write_deployment(files.deployment)
        player = Player(node, market, scenario, keeper)
        player.open(lambda done, total: None)
        return cls(anvil, market, scenario, player, files, keeper, opened=anvil.block_number())

    def settings(self, url: str, **changes: Any) -> Settings:
        """A keeper of this market that talks to `url`. Dry unless told to be live."""
        values = {
            "rpc_urls": (SecretStr(url),),
            "chain_id": CHAIN_ID,
            "protocol": "margin_engine",
            "deployment": self.files.deployment,
            "private_key": SecretStr(self.files.key.read_text().strip()),
            "data_dir": self.files.directory,
            "database_url": SecretStr(JOURNAL),
            "poll_interval_s": 0.05,
        }
        return Settings(**{**values, **changes})

    async def step(self, crowded: bool = False) -> BlockRecord:
        """The next block of the price path; quiet ones when it is over."""
        steps = self.scenario.steps
        step = steps[self.played] if self.played < len(steps) else self.player.quiet(CALM_DEMAND)
        self.played += 1
        return await asyncio.to_thread(self.player.step, step, crowded)

    async def quiet(self) -> BlockRecord:
        """A block in which prices stand still."""
        return await asyncio.to_thread(self.player.step, self.player.quiet(0), False)


def arena_node(**options: Any) -> Anvil:
    """A node that mines only when told."""
    return Anvil(**{"mining": False, "chain_id": CHAIN_ID, "gas_limit": GAS_LIMIT, "base_fee": 10**9, **options})


@dataclass
class Running:
    """A daemon in this event loop."""

    daemon: Daemon
    stop: asyncio.Event
    events: list[Event] = field(default_factory=list)
    task: asyncio.Task[int] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, kind: EventKind) -> list[Event]:
        """The events of one kind so far."""
        return [event for event in self.events if event.kind is kind]

    async def handled(self, number: int) -> None:
        """Wait until a block was handled. Raises what ended the daemon, or TimeoutError."""
        await self.until(lambda: any((event.block or 0) >= number for event in self.of(HEAD_NEW)))

    async def until(self, condition: Any) -> None:
        """Wait until a condition on the events holds."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._news.clear()
                news = asyncio.ensure_future(self._news.wait())
                assert self.task is not None
                await asyncio.wait({news, self.task}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if self.task.done():
                    raise AssertionError(f"the daemon ended with {self.task.result()}")


@asynccontextmanager
async def running(settings: Settings, code: int = 0) -> AsyncIterator[Running]:
    """The daemon, started; asked to stop at the end, when it must end with this exit code."""
    stop = asyncio.Event()
    keeper: Running
    daemon = Daemon(settings, lambda event: keeper.emit(event))  # noqa: PLW0108 - it does not exist yet
    keeper = Running(daemon, stop)
    keeper.task = asyncio.create_task(daemon.run(stop))
    try:
        yield keeper
        stop.set()
        async with asyncio.timeout(WAIT_S):
            assert await keeper.task == code
    finally:
        keeper.task.cancel()
        with suppress(asyncio.CancelledError):
            await keeper.task
