"""F23: the machine's clock jumps by an hour, forth and back. Deadlines are blocks, waits are monotonic."""

import itertools
import time
from pathlib import Path

import pytest

from keeper.model.events import HEAD_STALLED, KEEPER_IDLE, TX_CANCELLED, TX_MINED
from keeper.sim.arena import arena_node, running
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy


async def test_nothing_expires_nothing_stalls_and_the_books_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, jumps = time.time, itertools.cycle([0, 3600, -3600])
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=20, blocks=30, seed=3)
        async with FaultProxy(anvil.url) as proxy:
            monkeypatch.setattr(time, "time", lambda: wall() + next(jumps))
            async with running(arena.settings(proxy.url, live=True, idle_s=600.0)) as keeper:
                for _ in range(24):
                    record = await arena.step()
                    await keeper.handled(record.number)
                assert keeper.of(TX_MINED)
                assert keeper.of(TX_CANCELLED) == []
                assert keeper.of(HEAD_STALLED) == []
                assert len(keeper.of(KEEPER_IDLE)) == 1, "the heartbeat keeps its pace"
                await assert_invariants(arena, [proxy], [keeper])
