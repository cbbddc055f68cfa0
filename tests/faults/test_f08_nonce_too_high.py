"""F8: nodes call a nonce too high. Three tries, then what is missing below is filled, or the keeper holds."""

from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from tests.faults.conftest import SEND
from tests.support.node_rules import fields, nonce_order
from tests.support.proxy import rpc_error

TOO_HIGH = rpc_error(-32000, "nonce too high: address 0x0, tx: 1 state: 0")


async def test_one_that_overtook_the_others_goes_out_again_after_them(sea):
    sea.proxy.when(SEND, nth=1).do(TOO_HIGH)
    await sea.submit(await sea.world.plan(0), await sea.world.plan(1))
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED), (1, IntentState.MINED)]
    assert len(sea.proxy.sent) == 3
    assert len(set(sea.proxy.sent)) == 2


async def test_after_three_tries_the_gap_below_is_found_and_filled(sea):
    sea.proxy.when(SEND).do(nonce_order())
    sea.world.tap.swallow = 1
    await sea.submit(await sea.world.plan(0), await sea.world.plan(1))
    assert sea.states() == [(0, IntentState.DROPPED), (1, IntentState.PENDING)]
    await sea.mine(1)
    assert [fields(raw)[1] for raw in sea.proxy.sent] == [1, 1, 1, 0, 1]
    await sea.settle()
    assert sorted(sea.states()) == [(0, IntentState.CANCELLED), (0, IntentState.DROPPED), (1, IntentState.MINED)]
    assert sea.executor.held == ""


async def test_where_nothing_is_missing_below_the_keeper_holds_and_the_nonce_is_kept(sea):
    sea.proxy.when(SEND).do(TOO_HIGH)
    await sea.submit(await sea.world.plan(0))
    await sea.mine(2)
    assert sea.states() == [(0, IntentState.PENDING)]
    assert "too high" in sea.executor.held
    [refused] = await sea.submit(await sea.world.plan(1))
    assert refused.reason is Rejection.HOLD
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]
