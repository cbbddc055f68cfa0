"""`make chaos`: a live market behind the fault proxy, random faults, a keeper killed again and again; then it counts.

A cycle is a fault, some blocks, and now and then a death: at a named point of the send path or whenever it comes. The
sum of it all has to be zero: nothing sent twice, nothing lost, the book as a fresh one, the profit as the chain has it.
"""

import argparse
import asyncio
import json
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

from keeper.book.book import differences
from keeper.book.sync import BookSync
from keeper.chain.connect import connect
from keeper.model.events import BOOK_PARITY_FAILED
from keeper.model.intent import Intent, IntentState
from keeper.observe.pnl import summarise
from keeper.protocols.registry import load_deployment, load_protocol
from keeper.sim.arena import Running, arena_node, running
from keeper.sim.keeper import CHAIN_ID, JOURNAL
from tests.e2e.chaos.weather import FAULTS
from tests.support import harsh, invariants
from tests.support.crashing import POINTS, Zygote
from tests.support.deaths import status_block
from tests.support.proxy import FaultProxy

LOG = "chaos.jsonl"
REPORT = Path("build/chaos.json")
ACCOUNTS_A_CYCLE = 2
PATIENCE_S = 3.0  # for one block under a fault: then the chain goes on without the keeper
DRAIN_BLOCKS = 40
NOT_READY = 4  # the exit code of a start whose preflight failed
ARMED, KILLED = 0.7, 0.3  # chances: of a death at a point after each start, of one at any moment of a cycle


@dataclass
class Chaos:
    """One run. `chance` decides everything that is not the network's own timing."""

    arena: harsh.EngineArena
    proxy: FaultProxy
    zygote: Zygote
    chance: Random
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    refused_starts: int = 0  # by a node that did not answer
    strange: list[str] = field(default_factory=list)  # ends that were no kill

    async def cycle(self) -> None:
        """A fault, blocks, perhaps a death; then calm, and a keeper that runs."""
        if not self.zygote.running:
            await self.start()
        kind = self.chance.choice(sorted(FAULTS))
        self.faults[kind] += 1
        await FAULTS[kind](self.arena, self.proxy, self.chance)
        killing = asyncio.create_task(self._kill()) if self.chance.random() < KILLED else None
        for _ in range(self.chance.randint(1, 3)):
            await self._block()
        if killing is not None:
            await killing
        self.proxy.clear()
        if kind == "node_down":
            await self.proxy.up()
        if not self.zygote.running:
            await self._buried()

    async def start(self) -> None:
        """A keeper, most often one with a death ahead."""
        point = self.chance.choice(POINTS) if self.chance.random() < ARMED else ""
        await self.zygote.spawn(self.environment(), point, self.chance.randint(1, 3))

    async def stop(self) -> None:
        """End the last one as an operator would."""
        with suppress(ProcessLookupError):
            os.kill(self.zygote.pid, signal.SIGTERM)
        await self._buried()

    async def _kill(self) -> None:
        await asyncio.sleep(self.chance.random() / 2)
        if self.zygote.running:
            with suppress(ProcessLookupError):  # it has just died by itself
                os.kill(self.zygote.pid, signal.SIGKILL)

    async def _buried(self) -> None:
        code = await self.zygote.ended()
        self.kills += code == -signal.SIGKILL
        if code == NOT_READY and not self._began():
            self.refused_starts += 1
        elif code not in (0, -signal.SIGKILL):
            self.strange.append(f"exit code {code}")

    def _began(self) -> bool:
        """The newest keeper has handled a block."""
        try:
            return int(json.loads((self.arena.files.directory / "status.json").read_text())["pid"]) == self.zygote.pid
        except OSError:
            return False

    async def _block(self) -> None:
        """The next one, and as much time as a keeper needs for it."""
        record = await self.arena.step()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self.zygote.running and status_block(self.arena.files.directory) < record.number:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # it is another process

    def environment(self) -> dict[str, str]:
        return {
            "KEEPER_RPC_URLS": f"{self.proxy.ws_url}/a,{self.proxy.url_of('b')}",
            "KEEPER_CHAIN_ID": str(CHAIN_ID),
            "KEEPER_PROTOCOL": "margin_engine",
            "KEEPER_DEPLOYMENT": str(self.arena.files.deployment),
            "KEEPER_PRIVATE_KEY_FILE": str(self.arena.files.key),
            "KEEPER_DATA_DIR": str(self.arena.files.directory),
            "KEEPER_DATABASE_URL": JOURNAL,
            "KEEPER_REQUEST_TIMEOUT_S": "1",
            "KEEPER_POLL_INTERVAL_S": "0.1",
            "KEEPER_MAX_REVERTS": "1000",
            "KEEPER_MAX_LOSS_USD_DAY": "1000000000",
            "KEEPER_MAX_GAS_USD_HOUR": "1000000000",
            "KEEPER_LOG_JSON": str(self.arena.files.directory / LOG),
        }


async def drain(arena: harsh.EngineArena, keeper: Running) -> None:
    """Calm blocks until nothing is on its way."""
    for _ in range(DRAIN_BLOCKS):
        arena.anvil.set_next_base_fee(10**9)
        await keeper.handled((await arena.quiet()).number)
        if all(intent.state.final for intent in invariants.journal_of(keeper.daemon.settings)):
            return


async def count(chaos: Chaos, keeper: Running, cycles: int) -> dict[str, Any]:
    """The report: what must be zero is told, not asserted."""
    arena = chaos.arena
    intents = invariants.journal_of(keeper.daemon.settings)
    mined = invariants.mined_by(arena.anvil, arena.keeper, arena.opened)
    owner = {attempt.tx_hash: intent.id for intent in intents for attempt in intent.attempts}
    times = Counter(owner.get(one.hash, -1) for one in mined)
    known = set(owner)
    wire = sum(raw not in _raws(intents) for raw in chaos.proxy.sent)
    return {
        "cycles": cycles,
        "kills": chaos.kills,
        "faults": dict(sorted(chaos.faults.items())),
        "intents": len(intents),
        "mined": sum(intent.state is IntentState.MINED for intent in intents),
        "reverted": sum(intent.state is IntentState.REVERTED for intent in intents),
        "duplicates": sum(many - 1 for many in times.values()),
        "lost": _open(intents) + wire + sum(one.hash not in known for one in mined),
        "book_mismatches": await _mismatches(arena, keeper),
        "profit_difference_wei": _difference(arena, intents),
        "refused_starts": chaos.refused_starts,
        "strange_ends": chaos.strange,
        "alarms": _alarms(arena),
    }


def _raws(intents: list[Intent]) -> set[bytes]:
    return {attempt.raw for intent in intents for attempt in intent.attempts}


def _open(intents: list[Intent]) -> int:
    return sum(not intent.state.final for intent in intents)


def _alarms(arena: harsh.EngineArena) -> dict[str, int]:
    """What the keepers said of errors and worse, by code."""
    lines = (arena.files.directory / LOG).read_text().splitlines()
    found = [line for line in map(_parsed, lines) if line.get("level") in ("error", "critical")]
    return dict(sorted(Counter(str(line["event"]) for line in found).items()))


def _parsed(line: str) -> dict[str, Any]:
    """Half a line is what a killed keeper may leave."""
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return found


async def _mismatches(arena: harsh.EngineArena, keeper: Running) -> int:
    """Differences of the book to a fresh one, and audits that failed on the way."""
    snapshot = keeper.daemon.decision.snapshot
    assert snapshot is not None
    async with await connect([arena.anvil.url], CHAIN_ID, 10, lambda _: None) as chain:
        deployment = load_deployment(arena.files.deployment, CHAIN_ID, "margin_engine")
        follower = BookSync(chain.reader, load_protocol(deployment), deployment.start_block, lambda _: None)
        fresh = await follower.advance(await chain.reader.head())
    assert fresh is not None
    found = len(differences(snapshot.columns, fresh.snapshot.columns)) + (snapshot.state != fresh.snapshot.state)
    return found + len(keeper.of(BOOK_PARITY_FAILED)) + _alarms(arena).get(BOOK_PARITY_FAILED.code, 0)


def _difference(arena: harsh.EngineArena, intents: list[Intent]) -> int:
    """The sum over all coins of what the journal says less what the chain says, each positive."""
    head = arena.anvil.block_number()
    before, after = invariants.balances(arena, arena.opened), invariants.balances(arena, head)
    booked = summarise(intents).profit
    return sum(abs(after[token] - before[token] - booked.get(token, 0)) for token in after)


def _directory(keep: str) -> AbstractContextManager[str]:
    """Where everything lies: one that stays, to look into afterwards, or one that goes."""
    return nullcontext(keep) if keep else tempfile.TemporaryDirectory()


async def run(cycles: int, seed: int, keep: str = "") -> dict[str, Any]:
    """All cycles on one market, then calm, then the count."""
    with _directory(keep) as directory, arena_node() as anvil:
        accounts = 40 + ACCOUNTS_A_CYCLE * cycles
        arena = harsh.arena(anvil, Path(directory) / "market", accounts=accounts, blocks=2 * cycles + 20, seed=seed)
        async with FaultProxy(anvil.url) as proxy, Zygote() as zygote:
            chaos = Chaos(arena, proxy, zygote, Random(seed))
            for done in range(cycles):
                await chaos.cycle()
                if done % 20 == 19:
                    Console(stderr=True).print(f"{done + 1} cycles, {chaos.kills} kills")
            if zygote.running:
                await chaos.stop()
            settings = arena.settings(proxy.url, live=True)
            async with running(settings) as keeper:
                await drain(arena, keeper)
                return await count(chaos, keeper, cycles)


def broken(report: Mapping[str, Any]) -> list[str]:
    """What should be zero and is not."""
    zeros = ("duplicates", "lost", "book_mismatches", "profit_difference_wei")
    found = [name for name in (*zeros, "strange_ends") if report[name]]
    return found if report["mined"] else [*found, "mined"]


def show(report: Mapping[str, Any], seed: int) -> None:
    """The table, and the file for other programs."""
    table = Table("", "", title=f"chaos, seed {seed}")
    for name, value in report.items():
        text = ", ".join(f"{kind} {times}" for kind, times in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), text)
    Console().print(table)


def main() -> int:
    """Exit code 1 when something is not zero that has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the report instead of a table")
    parser.add_argument("--keep", default="", help="an empty directory that keeps log and journal")
    options = parser.parse_args()
    report = asyncio.run(run(options.cycles, options.seed, options.keep))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    if options.json:
        print(json.dumps(report))
    else:
        show(report, options.seed)
    return int(bool(broken(report)))


if __name__ == "__main__":
    raise SystemExit(main())
