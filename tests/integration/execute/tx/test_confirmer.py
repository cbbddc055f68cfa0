"""What is on its way and does not just get mined: bumped, cancelled, reorged, taken up again; on a real node."""

from itertools import pairwise

from keeper.execute.tx.crash_points import CrashPoint
from keeper.execute.tx.requests import from_plan
from keeper.model.intent import IntentState
from keeper.observe.pnl import NATIVE, summarise
from tests.support.world import GWEI, TOKENS


async def test_a_transaction_under_the_base_fee_is_replaced_at_ten_percent_up_until_it_is_mined(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0, max_fee=20 * GWEI))
    await world.mine(executor, 1, base_fee=60 * GWEI)
    await world.mine(executor, 1)
    [intent] = world.intents()
    assert intent.state is IntentState.MINED
    assert len(intent.attempts) == 2
    for low, high in pairwise(intent.attempts):
        assert high.max_fee * 100 >= low.max_fee * 110
        assert high.priority_fee * 100 >= low.priority_fee * 110
    assert world.codes("tx.") == ["tx.sent", "tx.replaced", "tx.mined"]


async def test_gas_in_flight_counts_while_the_next_block_may_include_it(world):
    executor = await world.executor()
    first, second = await world.plan(0, max_fee=20 * GWEI), await world.plan(1, max_fee=40 * GWEI)
    await world.submit(executor, first, second)
    gas = first.opportunity.gas_limit + second.opportunity.gas_limit
    busy = executor.in_flight()
    assert [busy.gas_at(base_fee * GWEI) for base_fee in (20, 21, 41)] == [gas, second.opportunity.gas_limit, 0]
    await world.mine(executor, 1)
    assert executor.in_flight().gas == {}


async def test_fees_stay_within_the_bid_and_the_cap_and_at_the_deadline_a_self_transfer_cancels(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0, max_fee=20 * GWEI, bid=40 * GWEI))
    await world.mine(executor, 6, base_fee=300 * GWEI)
    [intent] = world.intents()
    assert intent.state is IntentState.CANCELLING
    calls = [attempt for attempt in intent.attempts if not attempt.cancels]
    assert max(attempt.max_fee for attempt in calls) <= 40 * GWEI
    assert max(attempt.max_fee for attempt in intent.attempts) <= world.policy.max_fee
    assert world.codes("tx.stuck") == ["tx.stuck"]
    await world.mine(executor, 1)
    [intent] = world.intents()
    assert intent.state is IntentState.CANCELLED
    assert world.event("tx.cancelled").fields["reason"] == "its deadline passed"
    assert summarise([intent]).profit == {NATIVE: -intent.outcome.gas_used * intent.outcome.effective_gas_price}


async def test_what_is_no_longer_valid_is_cancelled_instead_of_replaced(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0, 1000 * TOKENS, max_fee=20 * GWEI))
    world.outbid(world.victims[0], "transfer", world.victims[1], 1)
    await world.mine(executor, 1, base_fee=60 * GWEI)
    await world.mine(executor, 1)
    [intent] = world.intents()
    assert intent.state is IntentState.CANCELLED
    assert [attempt.cancels for attempt in intent.attempts] == [False, True]
    assert world.event("tx.cancelled").fields["reason"] == "ERC20InsufficientBalance()"
    assert world.tokens(world.keeper) == 0


async def test_a_reorg_takes_the_profit_back_and_the_same_bytes_earn_it_again(world):
    executor = await world.executor()
    native = world.anvil.balance(world.keeper)
    await world.submit(executor, await world.plan(0))
    await world.mine(executor, 2)
    assert summarise(world.intents()).profit[world.token] == 10 * TOKENS
    world.anvil.reorg(2)
    await executor.follow(await world.snapshot())
    [intent] = world.intents()
    assert intent.state is IntentState.PENDING
    assert world.codes("tx.reorged") == ["tx.reorged"]
    await world.mine(executor, 3)
    [intent] = world.intents()
    assert intent.state is IntentState.MINED
    sums = summarise(world.intents())
    assert sums.profit == {world.token: world.tokens(world.keeper), NATIVE: world.anvil.balance(world.keeper) - native}
    assert sums.profit[world.token] == 10 * TOKENS


async def test_a_quiet_block_costs_no_request(world):
    executor = await world.executor()
    await world.mine(executor)
    world.anvil.mine()
    snapshot = await world.snapshot()
    before = world.chain.requests.total()
    await executor.follow(snapshot)
    assert world.chain.requests.total() == before


async def test_what_passed_its_deadline_while_the_keeper_was_down_is_cancelled(world):
    await world.crash(CrashPoint.COMMITTED)
    world.anvil.mine(10)
    executor = await world.executor()
    await world.mine(executor)
    [intent] = world.intents()
    assert intent.state is IntentState.CANCELLED
    assert world.tokens(world.keeper) == 0
    assert len(world.tap.sent) == 1


async def test_a_cancellation_is_taken_up_as_one(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0))
    [intent] = world.intents()
    world.anvil.rpc("anvil_dropTransaction", "0x" + intent.attempts[0].tx_hash.hex())
    world.anvil.mine(10)
    await executor.follow(await world.snapshot())
    await world.stop(executor)
    assert world.intents()[0].state is IntentState.CANCELLING
    executor = await world.executor()
    await world.mine(executor)
    assert world.intents()[0].state is IntentState.CANCELLED


async def test_a_reorg_while_the_keeper_was_down_is_noticed(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0))
    await world.mine(executor)
    await world.stop(executor)
    world.anvil.reorg(1)
    executor = await world.executor()
    await world.mine(executor, 4)
    [intent] = world.intents()
    assert intent.state is IntentState.MINED
    assert "tx.reorged" in world.codes()
    assert world.tokens(world.keeper) == 10 * TOKENS


async def test_the_first_fee_leaves_room_for_a_cancellation_under_the_cap(world):
    plan = await world.plan(0, max_fee=world.policy.max_fee, bid=world.policy.max_fee)
    request = from_plan(plan, world.policy.max_fee * 100 // 110)
    assert request.fees.max_fee * 110 <= world.policy.max_fee * 100
