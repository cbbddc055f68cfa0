"""F5: a transaction is evicted while one above it waits. Its bytes go out again; what is invalid is filled."""

from keeper.model.intent import IntentState
from tests.support.world import GWEI, TOKENS


async def test_what_was_evicted_goes_out_again_byte_for_byte_and_both_are_mined(sea):
    await sea.submit(await sea.world.plan(0), await sea.world.plan(1))
    low, high = sea.world.intents()
    sea.drop(low.attempts[0].tx_hash)
    await sea.mine(3)
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED), (1, IntentState.MINED)]
    assert sea.proxy.sent.count(low.attempts[0].raw) == 2
    assert {intent.outcome.block_number - sea.first <= 4 for intent in sea.world.intents()} == {True}
    assert high.attempts[0].raw in sea.proxy.sent


async def test_what_was_evicted_and_is_no_longer_valid_is_filled_by_a_self_transfer(sea):
    await sea.submit(await sea.world.plan(0, 1000 * TOKENS), await sea.world.plan(1))
    low, _ = sea.world.intents()
    sea.drop(low.attempts[0].tx_hash)
    sea.world.outbid(sea.world.victims[0], "transfer", sea.world.victims[2], 1)
    await sea.mine(4)
    await sea.settle()
    assert sea.states() == [(0, IntentState.CANCELLED), (1, IntentState.MINED)]


async def test_a_nonce_that_was_freed_below_another_is_filled_within_two_blocks(sea):
    sea.world.tap.swallow = 1
    await sea.submit(await sea.world.plan(0), await sea.world.plan(1, max_fee=20 * GWEI))
    assert sea.states() == [(0, IntentState.DROPPED), (1, IntentState.PENDING)]
    await sea.mine(3)
    assert sea.world.intents()[-1].kind == "fill"
    await sea.settle()
    assert sorted(sea.states()) == [
        (0, IntentState.CANCELLED),
        (0, IntentState.DROPPED),
        (1, IntentState.MINED),
    ]
