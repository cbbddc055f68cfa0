"""What a mined transaction is booked as, to the wei, on a real node."""

from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from keeper.observe.pnl import NATIVE, summarise
from keeper.protocols.base import RevertAction
from tests.support.world import TOKENS


async def test_profit_in_the_journal_equals_the_balance_change_to_the_wei(world):
    executor = await world.executor()
    native, tokens = world.anvil.balance(world.keeper), world.tokens(world.keeper)
    await world.submit(executor, await world.plan(0, 10 * TOKENS), await world.plan(1, 7 * TOKENS))
    await world.mine(executor)
    sums = summarise(world.intents())
    assert sums.profit[world.token] == world.tokens(world.keeper) - tokens == 17 * TOKENS
    assert sums.profit[NATIVE] == world.anvil.balance(world.keeper) - native == -sums.gas_wei
    assert sums.value_wad == 34 * TOKENS - sum(
        i.outcome.gas_used * i.outcome.effective_gas_price * 3000 for i in world.intents()
    )
    assert world.codes("tx.") == ["tx.sent", "tx.sent", "tx.mined", "tx.mined"]


async def test_being_beaten_in_the_same_block_is_booked_with_its_reason_and_opens_no_breaker(world):
    executor = await world.executor(max_reverts=1)
    await world.submit(executor, await world.plan(0, 1000 * TOKENS))
    world.outbid(world.victims[0], "transfer", world.victims[1], 1)
    await world.mine(executor)
    [intent] = world.intents()
    assert (intent.state, intent.outcome.reason) == (IntentState.REVERTED, "ERC20InsufficientBalance()")
    assert world.codes("breaker.") == []


async def test_a_revert_of_our_own_is_booked_with_its_reason_and_counted(world):
    world.protocol.action = RevertAction.BUG
    executor = await world.executor(max_reverts=1)
    native = world.anvil.balance(world.keeper)
    await world.submit(executor, await world.plan(0, 1000 * TOKENS))
    world.outbid(world.victims[0], "transfer", world.victims[1], 1)
    await world.mine(executor)
    [intent] = world.intents()
    assert (intent.state, intent.outcome.reason) == (IntentState.REVERTED, "ERC20InsufficientBalance()")
    assert summarise([intent]).profit == {NATIVE: world.anvil.balance(world.keeper) - native}
    assert world.codes("breaker.") == ["breaker.open"]
    assert (await world.submit(executor, await world.plan(1)))[0].reason is Rejection.HOLD
    await world.mine(executor, 50)
    assert world.codes("breaker.") == ["breaker.open", "breaker.closed"]
    assert await world.submit(executor, await world.plan(1)) == []
