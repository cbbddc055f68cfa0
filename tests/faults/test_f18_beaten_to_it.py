"""F18: somebody else was faster. What is not sent is dropped, what is in flight is cancelled, nothing is sent twice."""

from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from tests.support.world import GWEI, TOKENS


async def test_a_plan_that_is_no_longer_valid_when_simulated_is_never_signed(sea):
    plan = await sea.world.plan(0, 1000 * TOKENS)
    sea.world.outbid(sea.world.victims[0], "transfer", sea.world.victims[1], 1)
    await sea.mine()
    [refused] = await sea.submit(plan)
    assert refused.reason is Rejection.SIMULATION_FAILED
    assert sea.world.intents() == []
    assert sea.proxy.sent == []
    await sea.settle()


async def test_what_is_in_flight_is_cancelled_instead_of_replaced(sea, strict):
    await sea.submit(await sea.world.plan(0, 1000 * TOKENS, max_fee=20 * GWEI))
    sea.world.outbid(sea.world.victims[0], "transfer", sea.world.victims[1], 1)
    await sea.mine(base_fee=60 * GWEI)
    assert [attempt.cancels for attempt in sea.intent.attempts] == [False, True]
    await sea.settle()
    assert sea.states() == [(0, IntentState.CANCELLED)]
    assert sea.world.event("tx.cancelled").fields["reason"] == "ERC20InsufficientBalance()"
