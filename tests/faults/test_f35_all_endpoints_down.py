"""F35: no endpoint answers. Nothing is planned, reconnects are at most five seconds apart, and then it goes on."""

from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from keeper.chain.pool import NodePool, PoolPolicy
from keeper.errors import Transient
from keeper.model.events import CHAIN_READY, CHAIN_UNREADY, PLAN_MADE
from tests.support.anvil import Anvil
from tests.support.clock import SetClock
from tests.support.proxy import FaultProxy, status
from tests.support.storm import health_of, storm


async def test_the_process_stays_up_not_ready_and_resumes(tmp_path: Path) -> None:
    async with storm(tmp_path) as weather:
        keeper = weather.keeper
        await weather.proxy.down()
        await keeper.until(lambda: keeper.of(CHAIN_UNREADY))
        assert health_of(keeper) == (503, "no node answers")
        since = len(keeper.events)
        for _ in range(3):
            await weather.step()
        assert not [event for event in keeper.events[since:] if event.kind is PLAN_MADE]
        await weather.proxy.up()
        await keeper.until(lambda: keeper.of(CHAIN_READY))
        await weather.play(4)
        assert health_of(keeper) == (200, "ok")
        await weather.settle()


async def test_a_node_that_is_down_is_asked_less_and_less_often(anvil: Anvil) -> None:
    clock = SetClock()
    async with FaultProxy(anvil.url) as proxy:
        pool = NodePool([proxy.url], 31337, 5, lambda _: None, clock, PoolPolicy(jitter=lambda: 1.0))
        await pool.dial()
        proxy.when().do(status(502))
        asked = []
        for _ in range(300):  # 30 seconds
            before = len(proxy.seen)
            with suppress(Transient):
                await pool.request(str, "eth_blockNumber")
            if len(proxy.seen) > before:
                asked.append(clock.time)
            clock.time += 0.1
        gaps = [round(late - early, 1) for early, late in pairwise(asked)][2:]
        assert gaps[:4] == sorted(gaps[:4])
        assert 0.5 <= gaps[0] <= 0.7
        assert 4.0 <= max(gaps) <= 5.1
        assert len(asked) < 15
        await pool.close()
