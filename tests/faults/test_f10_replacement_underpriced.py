"""F10: a node knows a higher fee at the nonce. The next rung stands on the highest known; one more at once, no loop."""

from itertools import pairwise

from keeper.model.intent import IntentState
from tests.faults.conftest import SEND
from tests.support.proxy import rpc_error
from tests.support.world import GWEI

UNDERPRICED = rpc_error(-32000, "replacement transaction underpriced")


async def test_one_more_rung_at_once_from_the_highest_known_fee_is_taken(sea):
    sea.proxy.when(SEND, nth=2).do(UNDERPRICED)
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI))
    await sea.mine(base_fee=60 * GWEI)
    rungs = sea.intent.attempts
    assert len(rungs) == 3
    assert sea.proxy.sent == [attempt.raw for attempt in rungs]
    for low, high in pairwise(rungs):
        assert high.max_fee * 100 >= low.max_fee * 110
        assert high.priority_fee * 100 >= low.priority_fee * 110
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]


async def test_it_does_not_loop_within_a_block_and_the_old_bytes_go_out_again(sea):
    sea.proxy.when(SEND, nth=range(2, 4)).do(UNDERPRICED)
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI))
    await sea.mine(base_fee=60 * GWEI)
    first, second, third = (attempt.raw for attempt in sea.intent.attempts)
    assert sea.proxy.sent == [first, second, third, second]
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]


async def test_a_failed_rung_sends_what_the_pool_had_forgotten_again(sea):
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI))
    sea.drop(sea.intent.attempts[0].tx_hash)
    sea.proxy.when(SEND, nth=1).do(rpc_error(-32000, "insufficient funds for gas * price + value"))
    await sea.mine(base_fee=60 * GWEI)
    first, second = (attempt.raw for attempt in sea.intent.attempts)
    assert sea.proxy.sent == [first, second, first]
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]
