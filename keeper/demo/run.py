"""The demo from start to end: a node, a market, the price path without a keeper, then the same path with one."""

import asyncio
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from keeper.abi import checksum
from keeper.demo.files import FORK_PORT, DemoFiles, prepare_demo, write_environment
from keeper.demo.report import write_report
from keeper.demo.results import DemoResult, summarise
from keeper.demo.view import DemoView, make_view
from keeper.errors import InvariantBroken, KeeperError, OperatorError
from keeper.execute.journal.journal import open_history
from keeper.model.events import HEAD_NEW, Emit, Event
from keeper.model.health import WAD
from keeper.model.intent import Intent
from keeper.settings import Settings
from keeper.sim.keeper import CHAIN_ID, JOURNAL, capacity, keeper_settings, make_signer
from keeper.sim.market import MarketFactory, SimMarket, market_factory_of
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node
from keeper.sim.node.options import find_anvil
from keeper.sim.player import BLOCK_S, FIRST_BASE_FEE, GAS_LIMIT, Player
from keeper.sim.records import BlockRecord
from keeper.sim.scenario import CALM_DEMAND, LATE_DEMAND, Scenario, ScenarioStep

KEEPER_ETH = 100  # for so many accounts as a market of scale 1 has, like the dollars
ACCOUNTS_OF_SCALE_1 = 300
USUAL_PORT = 8545
WARM_BLOCKS, SETTLE_BLOCKS = 60, 60
HOLD_S = 1.0
STOP_S = 15.0


class RunningKeeper(Protocol):
    """The part of the daemon that the demo uses."""

    async def run(self, stop: asyncio.Event) -> int:
        """Run until `stop` is set; returns the exit code."""
        ...


MakeKeeper = Callable[[Settings, Emit], RunningKeeper]
Ready = Callable[[DemoResult], None]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of a demo.

    pace_s: real seconds from block to block. patience_s: the most real seconds that the next block waits until the
    keeper has handled the last one, for slow machines: on the chain, blocks are 12 seconds apart.
    """

    accounts: int = 300
    blocks: int = 60
    seed: int = 1
    as_json: bool = False
    keep: bool = False
    data_dir: Path = Path("keeper-data")
    pace_s: float = 0.4
    patience_s: float = 15.0
    protocol: str = "margin_engine"
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the keeper, by their names in `Settings`

    @property
    def scale(self) -> float:
        """1 for 300 accounts: caps, block space and the keeper's capital grow with the number of accounts."""
        return max(1.0, self.accounts / ACCOUNTS_OF_SCALE_1)

    def check(self) -> None:
        """Raises OperatorError when a number is out of its range."""
        limits = {"--accounts": (self.accounts, 10, 5_000), "--blocks": (self.blocks, 20, 2_000)}
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise OperatorError(f"{name} {value}: give a number from {low} to {high}")


async def run_demo(options: DemoOptions, make_keeper: MakeKeeper, ready: Ready | None = None) -> DemoResult:
    """Run the demo. `ready` gets the result as soon as it is known; with `keep`, this returns when interrupted.

    Raises KeyboardInterrupt on SIGINT or SIGTERM before that, after it has stopped everything that it started.
    """
    options.check()
    factory = market_factory_of(options.protocol)
    files = prepare_demo(options.data_dir)
    scenario = factory.scenario(options.seed, options.accounts, options.blocks)
    port = USUAL_PORT if options.keep and _free(USUAL_PORT) else None
    started = int(time.time()) - BLOCK_S * (options.blocks + len(scenario.aftermath)) - factory.setup_s
    node = Anvil(
        mining=False,
        chain_id=CHAIN_ID,
        port=port,
        timestamp=started,
        gas_limit=int(GAS_LIMIT * options.scale),
        base_fee=FIRST_BASE_FEE,
        bound=True,
    )
    result: DemoResult | None = None
    try:
        with _interruptible(), make_view(options.as_json) as view, node:
            demo = _Demo(options, files, factory, scenario, node, view)
            played = await demo.play(make_keeper)
            view.finish(played)
            if options.keep:
                await demo.leave_unsafe()
            if ready:
                ready(played)
            result = played
            if options.keep:
                await demo.hold()
    except KeyboardInterrupt:
        if result is None:
            raise
    return played


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM cancel the current task; when that ends it, KeyboardInterrupt is raised."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    heard: list[signal.Signals] = []

    def interrupt(name: signal.Signals) -> None:
        heard.append(name)
        task.cancel()

    names = (signal.SIGINT, signal.SIGTERM)
    for name in names:
        loop.add_signal_handler(name, interrupt, name)
    try:
        yield
    except (asyncio.CancelledError, KeeperError):
        if not heard:
            raise
    finally:
        for name in names:
            loop.remove_signal_handler(name)
    if heard:
        while task.uncancel():
            pass
        raise KeyboardInterrupt


def _program() -> Path:
    """The path of this `keeper`: beside the interpreter, or as it was called."""
    beside = Path(sys.executable).with_name("keeper")
    return beside if beside.is_file() else Path(sys.argv[0]).absolute()


def _shown(path: Path) -> str:
    """Absolute, quoted for a shell."""
    return shlex.quote(str(path.absolute()))


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@dataclass(slots=True)
class _Demo:
    """One demo on one node. What blocks runs in a thread, because the keeper shares the event loop."""

    options: DemoOptions
    files: DemoFiles
    factory: MarketFactory[SimMarket]
    scenario: Scenario
    anvil: Anvil
    view: DemoView
    records: list[BlockRecord] = field(default_factory=list)
    _market: SimMarket = field(init=False)
    _player: Player = field(init=False)
    _handled: int = 0  # the newest block that the keeper has handled
    _progress: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: int = 0  # pending transactions of the keeper
    _total: int = 0  # blocks until the end of the path
    _without_usd: float = 0.0

    async def play(self, make_keeper: MakeKeeper) -> DemoResult:
        """Set up, play without a keeper, play with one, count."""
        self._player = await asyncio.to_thread(self._set_up)
        baseline = await asyncio.to_thread(self._player.baseline, self._bar("the crash without a keeper"))
        self._without_usd = baseline.bad_debt_usd
        self._total = len(self.scenario.steps)
        stop = asyncio.Event()
        values = {"live": True, **capacity(self.options.accounts), **self._market.settings, **self.options.settings}
        settings = keeper_settings(self.files, self.anvil.ws_url, values)
        keeper = make_keeper(settings, self._heard)
        task = asyncio.create_task(keeper.run(stop))
        try:
            await self._race(task)
            stop.set()
            await asyncio.wait({task}, timeout=STOP_S)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        intents = await asyncio.to_thread(self._intents)
        result = summarise(self.options.seed, self.anvil.url, self.records, baseline.records, intents)
        about = self.factory.about
        records = self.records
        await asyncio.to_thread(write_report, self.files.report, result, records, baseline.records, about)
        self.view.say(about)
        self.view.say(f"report: {self.files.report}")
        return result

    async def leave_unsafe(self) -> None:
        """A second, smaller fall after the keeper has stopped: it leaves unsafe accounts for a keeper on a fork."""
        for step in self.scenario.aftermath:
            record = await asyncio.to_thread(self._player.step, step, False)
        self.view.say(
            f"\nPrices fell again after the keeper had stopped: {record.unsafe} accounts are unsafe now.\n"
            f"The node runs at {self.anvil.url} until you press Ctrl-C. To liquidate them on a fork, run in two other "
            "terminals:\n\n"
            f"  {_shown(find_anvil())} --fork-url {self.anvil.url} --port {FORK_PORT} --block-time 1\n"
            f"  {_shown(_program())} run --live --env-file {_shown(self.files.environment)}\n"
        )

    async def hold(self) -> None:
        """Mine blocks with unchanged but fresh prices, until interrupted."""
        while True:
            behind = int(time.time()) - self._player.time
            await asyncio.to_thread(self._player.step, self._player.quiet(0), False, max(1, behind))
            await asyncio.sleep(HOLD_S)

    def _set_up(self) -> Player:
        node = Node.at(self.anvil.url)
        scale = self.options.scale
        self._market = self.factory.deploy(node, scale)
        keeper = make_signer(self.files)
        self.anvil.set_balance(keeper, int(KEEPER_ETH * scale) * WAD)
        self._market.fund_keeper(keeper, scale, self.files.deployment)
        write_environment(self.files, self.options.accounts, self._market.settings)
        self._bar("contracts, feeds, tokens")(1, 1)
        player = Player(node, self._market, self.scenario, keeper, int(GAS_LIMIT * scale))
        player.open(self._bar("accounts opened"))
        self.view.say(f"{self._market.title} on {self.anvil.url}, keeper {checksum(keeper)}")
        return player

    async def _race(self, keeper: asyncio.Task[int]) -> None:
        """Blocks until the keeper has started, then the price path, then blocks until nothing is left to do."""
        for _ in range(WARM_BLOCKS):
            await self._turn(self._player.quiet(CALM_DEMAND), keeper)
            if self._handled and not self._waiting:
                break
        else:
            raise InvariantBroken(f"the keeper handled no block within {WARM_BLOCKS} blocks")
        self._total = len(self.records) + len(self.scenario.steps)
        for step in self.scenario.steps:
            await self._turn(step, keeper)
        for _ in range(SETTLE_BLOCKS):
            if not self._waiting and not self.records[-1].unsafe:
                break
            self._total = max(self._total, len(self.records) + 1)
            await self._turn(self._player.quiet(LATE_DEMAND), keeper)

    async def _turn(self, step: ScenarioStep, keeper: asyncio.Task[int]) -> None:
        """One block, and the time until the next. Raises InvariantBroken or the keeper's error when it has ended."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self.options.pace_s
        self.records.append(await asyncio.to_thread(self._player.step, step))
        await asyncio.wait({keeper}, timeout=max(0.0, due - loop.time()))
        await self._let_finish(keeper)
        if keeper.done():
            raise InvariantBroken(f"the keeper ended during the demo with exit code {keeper.result()}")
        self._waiting = await asyncio.to_thread(self._player.waiting)
        self.view.block(self.records, self._total, self._without_usd, self._waiting)

    async def _let_finish(self, keeper: asyncio.Task[int]) -> None:
        """Wait until the keeper has handled the newest block, at most `patience_s`."""
        if not self._handled:
            return
        loop = asyncio.get_running_loop()
        patience = loop.time() + self.options.patience_s - self.options.pace_s
        while self._handled < self.records[-1].number and loop.time() < patience and not keeper.done():
            self._progress.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(patience):
                    await self._progress.wait()

    def _heard(self, event: Event) -> None:
        if event.kind is HEAD_NEW:
            self._handled = event.block or 0
            self._progress.set()
        self.view.event(event)

    def _intents(self) -> list[Intent]:
        history = open_history(JOURNAL, self.files.directory)
        try:
            return history.intents()
        finally:
            history.close()

    def _bar(self, task: str) -> Callable[[int, int], None]:
        return lambda done, total: self.view.progress(task, done, total)
