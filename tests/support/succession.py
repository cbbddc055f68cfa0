"""Two keepers of one signer, each a process of its own, a lease in PostgreSQL between them, and blocks at a pace."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keeper.model.intent import IntentState
from keeper.settings import Settings
from keeper.sim.arena import running
from keeper.sim.keeper import CHAIN_ID
from tests.support import harsh
from tests.support.invariants import assert_invariants, journal_of
from tests.support.proxy import FaultProxy, Seen

SEND = "eth_sendRawTransaction"
WAIT_S = 60.0
WORST_BLOCK = 27  # of the price path: most accounts are unsafe
IN_FLIGHT = 3  # few, so that there is always more to do


@dataclass(eq=False)
class Keeper:
    """One of the two: `name` is its path at the proxy, `directory` its own."""

    name: str
    directory: Path
    process: Process | None = None
    begun: int = 0  # log lines before its newest start
    _log: list[dict[str, Any]] = field(default_factory=list, repr=False)
    _read: int = 0

    def events(self, code: str) -> list[dict[str, Any]]:
        """Its log lines with this code, over all its runs."""
        path = self.directory / "log.jsonl"
        if path.is_file():
            with path.open("rb") as lines:
                lines.seek(self._read)
                for line in lines:
                    if not line.endswith(b"\n"):
                        break  # it is being written
                    self._read += len(line)
                    self._log.append(json.loads(line))
        return [entry for entry in self._log if entry["event"] == code]

    def last(self, *codes: str) -> dict[str, Any]:
        """The newest of its log lines since its start with one of these codes; empty when there is none."""
        self.events("")
        return next((entry for entry in reversed(self._log[self.begun :]) if entry["event"] in codes), {})

    @property
    def leads(self) -> bool:
        return (
            self.last("lease.acquired", "lease.lost", "lease.waiting", "keeper.stopped").get("event")
            == "lease.acquired"
        )

    @property
    def block(self) -> int:
        """The newest block that it has handled."""
        try:
            return int(json.loads((self.directory / "status.json").read_text())["block"])
        except FileNotFoundError:
            return 0

    def signal(self, name: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(name)


@dataclass(frozen=True)
class Takeover:
    """`blocks`: from the one at the leader's end to the one that has the successor's first transaction."""

    how: str
    blocks: int
    revived_sent: int  # raw transactions of the old leader after its end


class Pair:
    """The leader and its standby, in any order."""

    def __init__(
        self, arena: harsh.EngineArena, proxy: FaultProxy, database: str, pace_s: float, lease_s: float
    ) -> None:
        self.arena = arena
        self.proxy = proxy
        self.database = database
        self.pace_s = pace_s
        self.lease_s = lease_s
        self.keepers = [Keeper(name, arena.files.directory / name) for name in ("a", "b")]

    async def start(self, keeper: Keeper, **changes: str) -> None:
        keeper.directory.mkdir(exist_ok=True)
        keeper.events("")
        keeper.begun = len(keeper._log)
        settings = {
            "KEEPER_RPC_URLS": self.proxy.url_of(keeper.name).replace("http", "ws"),
            "KEEPER_CHAIN_ID": str(CHAIN_ID),
            "KEEPER_PROTOCOL": "margin_engine",
            "KEEPER_DEPLOYMENT": str(self.arena.files.deployment),
            "KEEPER_PRIVATE_KEY_FILE": str(self.arena.files.key),
            "KEEPER_DATA_DIR": str(keeper.directory),
            "KEEPER_DATABASE_URL": self.database,
            "KEEPER_STANDBY": "true",
            "KEEPER_LEASE_S": str(self.lease_s),
            "KEEPER_LOG_JSON": str(keeper.directory / "log.jsonl"),
            "KEEPER_LOG_LEVEL": "critical",
            "KEEPER_MAX_IN_FLIGHT": str(IN_FLIGHT),
            "KEEPER_MIN_PROFIT_USD": "-1000000",
            "KEEPER_MAX_REVERTS": "1000",
            "KEEPER_MAX_LOSS_USD_DAY": "1000000000",
            "KEEPER_MAX_GAS_USD_HOUR": "1000000000",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
        keeper.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "keeper", "run", "--live",
            env=inherited | settings | changes, cwd=keeper.directory, stdout=DEVNULL, stderr=PIPE,
        )  # fmt: skip

    async def end(self, keeper: Keeper, name: signal.Signals = signal.SIGTERM) -> int:
        """Exit code."""
        assert keeper.process is not None
        keeper.signal(name)
        async with asyncio.timeout(WAIT_S):
            _, errors = await keeper.process.communicate()
        assert b"Traceback" not in errors, errors.decode()
        keeper.process, code = None, keeper.process.returncode
        assert code is not None
        return code

    @asynccontextmanager
    async def mining(self) -> AsyncIterator[None]:
        """A block each `pace_s`."""

        async def mine() -> None:
            while True:
                await asyncio.sleep(self.pace_s)
                await self.arena.quiet()

        mining = asyncio.create_task(mine())
        try:
            yield
        finally:
            mining.cancel()
            with suppress(asyncio.CancelledError):
                await mining

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for something that the keepers do. Raises AssertionError when it does not come, or a keeper ended."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition():  # noqa: ASYNC110 - other processes make it true
                    await asyncio.sleep(0.02)
        except TimeoutError:
            told = {
                keeper.name: keeper.last("lease.acquired", "lease.lost", "lease.waiting") for keeper in self.keepers
            }
            raise AssertionError(f"not within {WAIT_S:.0f} s: {what}; {told}") from None

    def roles(self) -> tuple[Keeper, Keeper] | None:
        """Leader and standby; None while not exactly one leads, as on a machine so busy that a lease ran out."""
        leading = [keeper for keeper in self.keepers if keeper.leads]
        waiting = [keeper for keeper in self.keepers if keeper not in leading]
        return (leading[0], waiting[0]) if len(leading) == 1 else None

    async def ready(self) -> tuple[Keeper, Keeper]:
        """Leader and standby, once one leads under load and the other's book is warm."""
        found: list[tuple[Keeper, Keeper]] = []
        begun: dict[str, int] = {}

        def is_ready() -> bool:
            roles = self.roles()
            if roles is None:
                begun.clear()
                return False
            leader, standby = roles
            mined = len(leader.events("tx.mined"))
            at_work = mined > begun.setdefault(leader.name, mined)
            warm = standby.last("lease.waiting", "lease.lost") and standby.block >= self.arena.anvil.block_number()
            found.append(roles)
            return bool(at_work and warm)

        await self.until(is_ready, "one leads and liquidates, the other stands by")
        return found[-1]

    async def take_over(self, how: signal.Signals, phase: float) -> Takeover:
        """End or freeze the leader, `phase` of a block after one; then bring it back as the standby."""
        leader, standby = await self.ready()
        await self._next_block()
        await asyncio.sleep(phase * self.pace_s)
        before = len(standby.events("tx.sent"))
        last = self.arena.anvil.block_number()
        leader.signal(how)
        sent = len(self._sent(leader))
        await self.until(lambda: self._mined(standby, before), "the successor's first transaction is mined")
        blocks = self._mined(standby, before) - last
        if how is signal.SIGSTOP:
            leader.signal(signal.SIGCONT)
            await self.until(lambda: leader.last("lease.acquired", "lease.lost")["event"] == "lease.lost", "it is told")
            await self._next_block()
        else:
            assert leader.process is not None
            await leader.process.wait()
        revived = len(self._sent(leader)) - sent
        if how is signal.SIGKILL:
            await self.start(leader)
        return Takeover(how.name, blocks, revived)

    async def _next_block(self) -> None:
        number = self.arena.anvil.block_number()
        await self.until(lambda: self.arena.anvil.block_number() > number, "a block")

    def _sent(self, keeper: Keeper) -> list[Seen]:
        return [call for call in self.proxy.calls(SEND) if call.who == keeper.name]

    def _mined(self, keeper: Keeper, since: int) -> int:
        """The first block with one of the transactions that the keeper signed itself; 0 when there is none yet."""
        hashes = [entry["hash"] for entry in keeper.events("tx.sent")[since:]]
        receipts = [self.arena.anvil.rpc("eth_getTransactionReceipt", tx_hash) for tx_hash in hashes]
        return min((int(receipt["blockNumber"], 16) for receipt in receipts if receipt), default=0)


async def assert_sound(arena: harsh.EngineArena, proxy: FaultProxy, settings: Settings, least: int) -> None:
    """A last keeper ends what is on its way and begins nothing new; then the invariants. `least`: of mined intents."""
    async with running(settings) as keeper:
        for _ in range(settings.deadline_blocks + 4):
            await arena.quiet()
            await keeper.handled(arena.anvil.block_number())
        intents = journal_of(settings)
        assert all(intent.state.final for intent in intents)
        assert sum(intent.state is IntentState.MINED for intent in intents) >= least
        await assert_invariants(arena, [proxy], [keeper])


@asynccontextmanager
async def pair(
    arena: harsh.EngineArena, proxy: FaultProxy, database: str, pace_s: float, lease_s: float
) -> AsyncIterator[Pair]:
    """Two keepers on a market with much to do, blocks coming. No process is left."""
    for _ in range(WORST_BLOCK):
        await arena.step()
    two = Pair(arena, proxy, database, pace_s, lease_s)
    try:
        async with two.mining():
            for keeper in two.keepers:
                await two.start(keeper)
            yield two
    finally:
        for keeper in two.keepers:
            if keeper.process is not None and keeper.process.returncode is None:
                keeper.process.kill()
                await keeper.process.communicate()
