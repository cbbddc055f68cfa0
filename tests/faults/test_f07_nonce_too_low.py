"""F7: a node calls a nonce too low while the transaction of ours that used it is mined. Own hashes decide."""

from keeper.model.intent import IntentState
from tests.faults.conftest import SEND
from tests.support.node_rules import one_of
from tests.support.proxy import answer, lose_reply, null, rpc_error
from tests.support.world import TOKENS

TOO_LOW = rpc_error(-32000, "nonce too low: next nonce 1, tx nonce 0")


async def test_what_a_node_calls_too_low_is_found_by_its_hash_and_never_sent_as_another(sea):
    sea.proxy.when(SEND, nth=1).do(lose_reply())
    sea.proxy.when(SEND).do(TOO_LOW)
    await sea.submit(await sea.world.plan(0))
    await sea.mine(2)
    assert sea.states() == [(0, IntentState.MINED)]
    assert len(set(sea.proxy.sent)) == 1
    await sea.settle()


async def test_a_node_that_knows_the_nonce_before_the_receipt_is_asked_more_than_once(sea):
    await sea.submit(await sea.world.plan(0))
    sea.proxy.when("eth_getTransactionReceipt").do(one_of([null(), null(), answer(lambda found: found)]))
    await sea.mine(3)
    assert sea.states() == [(0, IntentState.MINED)]
    assert "tx.superseded" not in sea.world.codes()
    await sea.settle()
    assert len(sea.proxy.sent) == 1
    assert sea.world.tokens(sea.world.keeper) == 10 * TOKENS
