"""F16: the pool is full, or forgets a transaction. The same bytes go out again, not before two blocks."""

from keeper.model.intent import IntentState
from tests.faults.conftest import SEND
from tests.support.node_rules import evict
from tests.support.proxy import rpc_error


async def test_what_the_pool_forgot_goes_out_again_after_two_blocks_byte_for_byte(sea):
    sea.proxy.when(SEND, nth=1).do(evict())
    await sea.submit(await sea.world.plan(0))
    await sea.mine()
    assert len(sea.proxy.sent) == 1
    await sea.mine()
    assert sea.proxy.sent == [sea.intent.attempts[0].raw] * 2
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]


async def test_a_full_pool_costs_no_nonce_and_the_same_bytes_go_out_again(sea):
    sea.proxy.when(SEND, nth=1).do(rpc_error(-32000, "txpool is full"))
    await sea.submit(await sea.world.plan(0))
    assert sea.states() == [(0, IntentState.PENDING)]
    await sea.mine()
    assert len(sea.proxy.sent) == 1
    await sea.mine(2)
    assert sea.proxy.sent == [sea.intent.attempts[0].raw] * 2
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]
