"""F17: beaten in the same block. The revert is booked with its reason, the account cools down, the breaker counts."""

from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from keeper.observe.pnl import NATIVE
from keeper.protocols.base import RevertAction
from tests.support.world import TOKENS


async def test_the_cost_is_booked_the_reason_decoded_and_the_account_cools_down(sea):
    await sea.submit(await sea.world.plan(0, 1000 * TOKENS))
    sea.world.outbid(sea.world.victims[0], "transfer", sea.world.victims[1], 1)
    await sea.mine()
    outcome = sea.intent.outcome
    assert (sea.intent.state, outcome.reason) == (IntentState.REVERTED, "ERC20InsufficientBalance()")
    assert outcome.profit == {NATIVE: -outcome.gas_used * outcome.effective_gas_price}
    [refused] = await sea.submit(await sea.world.plan(0))
    assert refused.reason is Rejection.COOLING_DOWN
    await sea.mine(sea.world.policy.cooldown_blocks)
    assert await sea.submit(await sea.world.plan(0)) == []
    await sea.settle()
    assert sea.states() == [(0, IntentState.REVERTED), (1, IntentState.MINED)]


async def test_reverts_in_a_row_open_the_breaker(sea):
    sea.world.protocol.action = RevertAction.BUG  # not a race that was lost: F54
    for victim in range(3):  # the limit of this world
        await sea.submit(await sea.world.plan(victim, 1000 * TOKENS))
        sea.world.outbid(sea.world.victims[victim], "transfer", sea.world.token, 1)
        await sea.mine()
    assert [state for _, state in sea.states()] == [IntentState.REVERTED] * 3
    await sea.mine(sea.world.policy.cooldown_blocks)
    [refused] = await sea.submit(await sea.world.plan(0))
    assert refused.reason is Rejection.HOLD
    await sea.settle()


async def test_an_account_whose_reason_may_be_gone_in_the_next_block_does_not_cool_down(sea):
    sea.world.protocol.action = RevertAction.RETRY
    await sea.submit(await sea.world.plan(0, 1000 * TOKENS))
    sea.world.outbid(sea.world.victims[0], "transfer", sea.world.victims[1], 1)
    await sea.mine()
    assert (sea.intent.state, sea.intent.outcome.reason) == (IntentState.REVERTED, "ERC20InsufficientBalance()")
    assert await sea.submit(await sea.world.plan(0)) == []
    await sea.settle()
    assert sea.states() == [(0, IntentState.REVERTED), (1, IntentState.MINED)]
