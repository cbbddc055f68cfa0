"""A market on a node of its own, and the daemon that operators run, block by block: for tests and benchmarks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic

from keeper.app.daemon import Daemon
from keeper.execute.execution import Execution
from keeper.execute.journal.journal import open_history
from keeper.model.events import HEAD_NEW, Event, EventKind
from keeper.model.health import WAD
from keeper.model.intent import Intent, IntentState
from keeper.settings import Settings
from keeper.sim.keeper import CHAIN_ID, KeeperFiles, keeper_settings, make_signer, prepare
from keeper.sim.market import MarketFactory, MarketT
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask
from keeper.sim.node.client import Node
from keeper.sim.player import GAS_LIMIT, Player
from keeper.sim.records import BlockRecord
from keeper.sim.scenario import CALM_DEMAND, Scenario, ScenarioStep

WAIT_S = 90.0
KEEPER_WEI = 1_000 * WAD


def arena_node(**options: Any) -> Anvil:
    """A node that mines a block only by request."""
    return Anvil(**{"mining": False, "chain_id": CHAIN_ID, "gas_limit": GAS_LIMIT, "base_fee": 10**9, **options})


@dataclass
class Arena(Generic[MarketT]):
    """A market with open accounts and a keeper's key. A block is mined by each `step`, `quiet` and `at_prices`.

    played: steps of the scenario so far. opened: the block in which the market stood ready. given: units of each token
    that the keeper started with.
    """

    anvil: Anvil
    market: MarketT
    scenario: Scenario
    player: Player
    files: KeeperFiles
    keeper: bytes
    played: int = 0
    opened: int = 0
    given: Mapping[bytes, int] = field(default_factory=dict)

    @classmethod
    def on(
        cls,
        anvil: Anvil,
        directory: Path,
        factory: MarketFactory[MarketT],
        accounts: int = 60,
        blocks: int = 40,
        seed: int = 1,
    ) -> "Arena[MarketT]":
        """Deploy and open the accounts on a node that `arena_node` started. The keeper has ether and no tokens yet."""
        files, node = prepare(directory), Node.at(anvil.url)
        scenario = factory.scenario(seed, accounts, blocks)
        market = factory.deploy(node, 1.0)
        keeper = make_signer(files)
        anvil.set_balance(keeper, KEEPER_WEI)
        player = Player(node, market, scenario, keeper)
        player.open(lambda *_: None)
        return cls(anvil, market, scenario, player, files, keeper, opened=anvil.block_number())

    def fund_keeper(self, dollars: int | None = None) -> None:
        """Give the keeper `dollars`, or the market's default capital, and write the deployment file."""
        if dollars is not None:
            self.market.capital = dollars
        self.market.fund_keeper(self.keeper, 1.0, self.files.deployment)
        self.player.time = self.player.timestamp()
        self.given, self.opened = self.held(), self.anvil.block_number()

    def forked(self, anvil: Anvil) -> "Arena[MarketT]":
        """The same market on a fork of the node."""
        node = Node.at(anvil.url)
        market = self.market.forked(node)
        anvil.set_balance(self.keeper, KEEPER_WEI)
        player = Player(node, market, self.scenario, self.keeper)
        player.time = player.timestamp()
        return replace(self, anvil=anvil, market=market, player=player)

    def settings(self, url: str = "", **changes: Any) -> Settings:
        """A keeper of this market that talks to `url`. Dry unless `live=True` is among the changes."""
        values = {**self.market.settings, "poll_interval_s": 0.05, **changes}
        return keeper_settings(self.files, url or self.anvil.url, values)

    # Blocks.

    async def step(self, crowded: bool = False) -> BlockRecord:
        """The next block of the price path; quiet ones when it is over."""
        steps = self.scenario.steps
        step = steps[self.played] if self.played < len(steps) else self.player.quiet(CALM_DEMAND)
        self.played += 1
        return await asyncio.to_thread(self.player.step, step, crowded)

    async def quiet(self) -> BlockRecord:
        """A block in which prices stand still."""
        return await asyncio.to_thread(self.player.step, self.player.quiet(0), False)

    async def at_prices(self, prices: Mapping[str, float]) -> BlockRecord:
        """A block with these prices, in dollars by label."""
        return await asyncio.to_thread(self.player.step, ScenarioStep(prices, 0.0, "crash"), False)

    # Results.

    def held(self) -> dict[bytes, int]:
        """Units of each of the market's tokens that the keeper, or its executor, has."""
        tokens, holder = self.market.tokens.values(), self.market.holder
        return {token: int(ask(self.market.node, token, "balanceOf(address)", holder)) for token in tokens}

    def intents(self) -> list[Intent]:
        """All intents of the journal."""
        settings = self.settings()
        history = open_history(settings.database_url.get_secret_value(), settings.data_dir)
        try:
            return history.intents()
        finally:
            history.close()

    def mined(self) -> list[Intent]:
        """Liquidations of the journal that were mined and did not revert."""
        found = [intent for intent in self.intents() if intent.state is IntentState.MINED]
        return [intent for intent in found if intent.outcome and intent.outcome.status == 1]


@dataclass
class Running:
    """A daemon that runs in this event loop."""

    daemon: Daemon
    stop: asyncio.Event
    events: list[Event] = field(default_factory=list)
    task: asyncio.Task[int] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def execution(self) -> Execution:
        """The execution of a daemon that has started."""
        assert self.daemon.stages is not None
        return self.daemon.stages.execution

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, kind: EventKind) -> list[Event]:
        """The events of one kind so far."""
        return [event for event in self.events if event.kind is kind]

    async def handled(self, number: int) -> None:
        """Wait until the daemon has handled a block. Raises AssertionError when the daemon ended, or TimeoutError."""
        await self.until(lambda: any((event.block or 0) >= number for event in self.of(HEAD_NEW)))

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition on the events holds."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._news.clear()
                news = asyncio.ensure_future(self._news.wait())
                assert self.task is not None
                await asyncio.wait({news, self.task}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if self.task.done():
                    raise AssertionError(f"the daemon ended with exit code {self.task.result()}")


@asynccontextmanager
async def running(settings: Settings, code: int = 0) -> AsyncIterator[Running]:
    """Start the daemon, and stop it at the end. Raises AssertionError when its exit code is another."""
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
