"""F19: plans that touch the same account, limit or coins. The second waits for the outcome of the first."""

from dataclasses import replace
from typing import Any

import pytest

from keeper.model.intent import IntentState
from keeper.model.plan import Plan, Rejection
from tests.support.world import TOKENS


def drawing(plan: Plan, **changes: Any) -> Plan:
    return replace(plan, opportunity=replace(plan.opportunity, **changes))


@pytest.mark.parametrize("together", [True, False], ids=["in one block", "one in flight"])
@pytest.mark.parametrize("what", ["account", "limit", "coins"])
async def test_the_second_waits_for_the_outcome_of_the_first(sea, what: str, together: bool):
    first = await sea.world.plan(0)
    second = await sea.world.plan(0 if what == "account" else 1, 5 * TOKENS)
    if what == "limit":
        first, second = (drawing(plan, uses={"cap": (plan.opportunity.size, 14 * TOKENS)}) for plan in (first, second))
    if what == "coins":
        sea.world.anvil.set_automine(True)
        sea.world.transact(sea.world.victims[2], "mint", sea.world.keeper, 8 * TOKENS)
        sea.world.anvil.set_automine(False)
        first, second = (drawing(plan, spends={sea.world.token: 5 * TOKENS}) for plan in (first, second))
    reason = {"account": Rejection.IN_FLIGHT, "limit": Rejection.SHARED_LIMIT, "coins": Rejection.INSUFFICIENT_FUNDS}
    if together:
        [refused] = await sea.submit(first, second)
    else:
        assert await sea.submit(first) == []
        [refused] = await sea.submit(second)
    assert refused.reason is reason[what]
    assert len(sea.proxy.sent) == 1
    await sea.mine()
    if what == "account":
        [refused] = await sea.submit(second)
        assert refused.reason is Rejection.IN_FLIGHT, "planned before the outcome of the first"
        second = await sea.world.plan(0, 5 * TOKENS)
    assert await sea.submit(second) == []
    await sea.settle(granted_tokens=8 * TOKENS if what == "coins" else 0)
    assert sea.states() == [(0, IntentState.MINED), (1, IntentState.MINED)]
