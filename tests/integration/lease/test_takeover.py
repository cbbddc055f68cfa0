"""A leader that dies or freezes under load is succeeded within two blocks, and nothing is sent twice.

`make takeover N=30` runs more of them. The pace of blocks is the test's own; no time is asserted.
"""

import os
import signal
from pathlib import Path
from random import Random

from pydantic import SecretStr

from tests.support.arena import Arena, arena_node
from tests.support.proxy import FaultProxy
from tests.support.succession import Takeover, assert_sound, pair

TAKEOVERS = int(os.environ.get("TAKEOVERS", "3"))
PACE_S = float(os.environ.get("PACE_S", "2"))
ACCOUNTS_EACH = 80
MOST_BLOCKS = 2
BOTH = (signal.SIGKILL, signal.SIGSTOP)


async def test_a_leader_killed_or_frozen_under_load_is_succeeded_within_two_blocks_and_nothing_is_sent_twice(
    tmp_path: Path, database: str
) -> None:
    random = Random(1)
    with arena_node() as anvil:
        arena = Arena.on(anvil, tmp_path, accounts=ACCOUNTS_EACH * max(TAKEOVERS, 2))
        async with FaultProxy(anvil.url) as proxy:
            async with pair(arena, proxy, database, PACE_S, PACE_S / 2) as two:
                found = [await two.take_over(BOTH[turn % 2], random.random()) for turn in range(TAKEOVERS)]
                await two.ready()
                for keeper in two.keepers:
                    assert await two.end(keeper) == 0
            settings = arena.settings(
                proxy.url_of("last"), live=True, database_url=SecretStr(database), min_profit_usd=1_000_000
            )
            await assert_sound(arena, proxy, settings, least=TAKEOVERS)
    print(_table(found))
    assert [takeover for takeover in found if takeover.blocks > MOST_BLOCKS] == []
    assert [takeover for takeover in found if takeover.revived_sent] == []


def _table(found: list[Takeover]) -> str:
    lines = [f"{takeover.how:8} {takeover.blocks} blocks, {takeover.revived_sent} sent after" for takeover in found]
    return "\n".join(["", *lines, f"{len(found)} takeovers, {max(t.blocks for t in found)} blocks at most"])
