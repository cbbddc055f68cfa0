"""Plans that are refused before anything is signed, on a real node."""

from keeper.execute.signing.policy import MAX_TX_GAS
from keeper.model.plan import Rejection
from tests.support.world import TOKENS


async def test_what_the_simulation_refuses_is_not_sent_and_cools_down(world):
    executor = await world.executor()
    [refused] = await world.submit(executor, await world.plan(0, 5000 * TOKENS))
    assert (refused.reason, refused.message) == (Rejection.SIMULATION_FAILED, "ERC20InsufficientBalance()")
    assert world.victims[0] in executor.in_flight().cooling
    [again] = await world.submit(executor, await world.plan(0))
    assert again.reason is Rejection.COOLING_DOWN
    assert world.tap.sent == []
    assert world.intents() == []
    await world.mine(executor, world.policy.cooldown_blocks)
    assert await world.submit(executor, await world.plan(0)) == []


async def test_a_gas_limit_above_the_transaction_cap_is_refused_before_signing(world):
    executor = await world.executor()
    [refused] = await world.submit(executor, await world.plan(0, gas_limit=MAX_TX_GAS + 1))
    assert refused.reason is Rejection.BLOCK_GAS
    assert world.intents() == []


async def test_no_more_than_the_limit_is_on_its_way(world):
    world.policy = type(world.policy)(
        **{f: getattr(world.policy, f) for f in world.policy.__slots__} | {"max_in_flight": 2}
    )
    executor = await world.executor()
    [refused] = await world.submit(executor, *[await world.plan(victim) for victim in range(3)])
    assert (refused.account, refused.reason) == (world.victims[2], Rejection.TOO_MANY_IN_FLIGHT)
