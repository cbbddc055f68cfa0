"""A leader that dies or freezes under load is succeeded within two blocks, and nothing is sent twice.

`make takeover N=30` runs more of them. The pace of blocks is the test's own; no time is asserted.
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from random import Random

from pydantic import SecretStr

from keeper.sim.arena import arena_node
from tests.support import harsh
from tests.support.postgres import Postgres
from tests.support.proxy import FaultProxy
from tests.support.succession import Takeover, assert_sound, pair

TAKEOVERS = int(os.environ.get("TAKEOVERS", "3"))
PACE_S = float(os.environ.get("PACE_S", "2"))
ACCOUNTS_EACH = 50
SERIES = 6
MOST_BLOCKS = 2
BOTH = (signal.SIGKILL, signal.SIGSTOP)


async def test_a_leader_killed_or_frozen_under_load_is_succeeded_within_two_blocks_and_nothing_is_sent_twice(
    tmp_path: Path, postgres: Postgres
) -> None:
    random, found = Random(1), list[Takeover]()
    while len(found) < TAKEOVERS:
        turns = range(len(found), min(len(found) + SERIES, TAKEOVERS))
        ends = [(BOTH[turn % 2], random.random()) for turn in turns]
        found += await _series(tmp_path / str(len(found)), postgres.database(), ends)
        print(_table(found), flush=True)
    assert [takeover for takeover in found if takeover.blocks > MOST_BLOCKS] == []
    assert [takeover for takeover in found if takeover.revived_sent] == []


async def _series(directory: Path, database: str, ends: Sequence[tuple[signal.Signals, float]]) -> list[Takeover]:
    """Takeovers on a market of their own, small enough to be planned within a block on a busy machine."""
    with arena_node() as anvil:
        arena = harsh.arena(anvil, directory, accounts=ACCOUNTS_EACH * max(len(ends), 2))
        async with FaultProxy(anvil.url) as proxy:
            async with pair(arena, proxy, database, PACE_S, PACE_S / 2) as two:
                found = [await two.take_over(how, phase) for how, phase in ends]
                await two.ready()
                for keeper in two.keepers:
                    assert await two.end(keeper) == 0
            settings = arena.settings(
                proxy.url_of("last"), live=True, database_url=SecretStr(database), min_profit_usd=1_000_000
            )
            await assert_sound(arena, proxy, settings, least=len(ends))
    return found


def _table(found: list[Takeover]) -> str:
    lines = [f"{takeover.how:8} {takeover.blocks} blocks, {takeover.revived_sent} sent after" for takeover in found]
    return "\n".join(["", *lines, f"{len(found)} takeovers, {max(t.blocks for t in found)} blocks at most"])
