"""F9: the base fee rises above what was offered. Rungs of +10 % up to the bid, else a self-transfer at the deadline."""

from itertools import pairwise

from keeper.model.intent import IntentState
from tests.support.world import GWEI, TOKENS


async def test_it_is_replaced_on_schedule_each_rung_ten_percent_up_on_both_fields(sea, strict):
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI, bid=450 * GWEI, deadline=3))
    for base_fee in (30, 150):
        await sea.mine(base_fee=base_fee * GWEI)
    rungs = sea.intent.attempts
    assert len(rungs) > 2
    for low, high in pairwise(rungs):
        assert high.max_fee * 100 >= low.max_fee * 110
        assert high.priority_fee * 100 >= low.priority_fee * 110
        assert high.max_fee <= sea.intent.bid
    await sea.settle()
    assert sea.intent.state is IntentState.MINED
    assert "tx.refused" not in sea.world.codes()


async def test_what_is_not_worth_the_base_fee_is_cancelled_at_its_deadline(sea, strict):
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI, bid=40 * GWEI))
    await sea.mine(6, base_fee=300 * GWEI)
    assert sea.intent.state is IntentState.CANCELLING
    assert max(attempt.max_fee for attempt in sea.intent.attempts if not attempt.cancels) <= 40 * GWEI
    await sea.settle()
    assert sea.intent.state is IntentState.CANCELLED
    assert sea.world.tokens(sea.world.keeper) == 0


async def test_it_is_simulated_again_before_each_rung_and_cancelled_when_it_is_no_longer_valid(sea, strict):
    await sea.submit(await sea.world.plan(0, 1000 * TOKENS, max_fee=20 * GWEI))
    await sea.mine(base_fee=60 * GWEI)
    sea.drop(*(attempt.tx_hash for attempt in sea.intent.attempts))
    sea.world.outbid(sea.world.victims[0], "transfer", sea.world.victims[1], 1)
    await sea.mine(base_fee=400 * GWEI)
    assert [attempt.cancels for attempt in sea.intent.attempts] == [False, False, True]
    await sea.settle()
    assert sea.intent.state is IntentState.CANCELLED
