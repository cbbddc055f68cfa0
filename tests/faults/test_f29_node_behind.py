"""F29: a node is n blocks behind, or its head frozen. Reads go elsewhere; when all are behind, nothing is planned."""

from pathlib import Path

import pytest

from keeper.model.events import CHAIN_READY, CHAIN_UNREADY, NODE_LAGGING, PLAN_MADE
from tests.support.node_rules import frozen, refuse, stale
from tests.support.storm import health_of, storm

LAG = 5


@pytest.mark.parametrize("fault", ["behind", "frozen"])
async def test_reads_go_to_the_node_that_keeps_up(tmp_path: Path, fault: str) -> None:
    async with storm(tmp_path, who=("first", "second")) as weather:
        rule = stale(LAG) if fault == "behind" else frozen(weather.anvil.block_number())
        weather.proxy.when(who="first").do(rule)
        await weather.play(LAG + 1)
        [told] = weather.keeper.of(NODE_LAGGING)
        assert told.fields["behind"] > 3
        before = len(weather.proxy.seen)
        await weather.play(3)
        assert weather.asked("first", before) <= {"eth_getBlockByNumber", "eth_sendRawTransaction"} | FOLLOWING
        assert {"eth_getLogs", "eth_call"} <= weather.asked("second", before)
        assert not weather.keeper.of(CHAIN_UNREADY)
        assert health_of(weather.keeper) == (200, "ok")
        await weather.settle()


# What looks for a transaction asks every node: a null may come from one that lags.
FOLLOWING = {"eth_getTransactionReceipt", "eth_getTransactionByHash"}


async def test_when_all_that_answer_are_behind_nothing_is_planned_until_one_has_caught_up(tmp_path: Path) -> None:
    async with storm(tmp_path, who=("first", "second"), request_timeout_s=1.0) as weather:
        weather.proxy.when(who="first").do(stale(LAG))
        await weather.play(2)
        weather.proxy.when(who="second").do(refuse())
        await weather.keeper.until(lambda: weather.keeper.of(CHAIN_UNREADY))
        assert health_of(weather.keeper)[0] == 503
        for _ in range(2):
            await weather.step()
        since = len(weather.keeper.events)
        await weather.step()
        assert not [event for event in weather.keeper.events[since:] if event.kind is PLAN_MADE]
        weather.proxy.clear()
        await weather.keeper.until(lambda: weather.keeper.of(CHAIN_READY))
        await weather.play(4)
        assert health_of(weather.keeper) == (200, "ok")
        await weather.settle()
