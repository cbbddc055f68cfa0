"""F13: the purse does not cover the gas. Refused before signing, told once, taken up after a refill."""

from keeper.model.intent import IntentState
from keeper.model.plan import Rejection


async def test_a_plan_that_cannot_be_paid_is_refused_before_signing_and_sent_after_a_refill(sea):
    whole = sea.world.anvil.balance(sea.world.keeper)
    sea.world.anvil.set_balance(sea.world.keeper, 1000)
    for _ in range(3):
        [refused] = await sea.submit(await sea.world.plan(0))
        assert refused.reason is Rejection.INSUFFICIENT_FUNDS
        await sea.mine()
    assert sea.world.intents() == []
    assert sea.proxy.sent == []
    assert sea.world.event("funds.low").kind.level == "error"
    sea.world.anvil.set_balance(sea.world.keeper, whole)
    assert await sea.submit(await sea.world.plan(0)) == []
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]


async def test_what_is_on_its_way_is_counted_against_the_purse(sea):
    plan = await sea.world.plan(0)
    one = plan.opportunity.gas_limit * plan.max_fee
    taken = sea.world.anvil.balance(sea.world.keeper) - one * 3 // 2
    sea.world.anvil.set_balance(sea.world.keeper, one * 3 // 2)
    [refused] = await sea.submit(plan, await sea.world.plan(1))
    assert (refused.account, refused.reason) == (sea.world.victims[1], Rejection.INSUFFICIENT_FUNDS)
    await sea.settle(granted_wei=-taken)
    assert sea.states() == [(0, IntentState.MINED)]
