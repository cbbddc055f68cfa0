"""F1: the reply to a send is lost. Unknown keeps the nonce; the same bytes go out again."""

import pytest

from keeper.model.intent import IntentState
from tests.faults.conftest import SEND
from tests.support.proxy import Action, lose_reply, lose_request
from tests.support.world import GWEI, TOKENS


@pytest.mark.parametrize("fault", [lose_reply(), lose_request()], ids=["reply", "request"])
async def test_the_same_bytes_go_out_again_and_end_in_one_liquidation(sea, fault: Action):
    sea.proxy.when(SEND, nth=1).do(fault)
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI))
    assert sea.world.codes("tx.") == ["tx.unknown", "tx.sent"]
    assert sea.intent.state is IntentState.PENDING
    sea.world.anvil.set_next_base_fee(15 * GWEI)
    await sea.mine()
    if sea.intent.state is IntentState.PENDING:  # the node had not seen it
        assert sea.proxy.sent == [sea.intent.attempts[0].raw] * 2
    await sea.settle()
    assert (sea.intent.state, len(sea.intent.attempts)) == (IntentState.MINED, 1)
    assert sea.world.tokens(sea.world.keeper) == 10 * TOKENS


async def test_already_known_counts_as_accepted(sea):
    sea.proxy.when(SEND, nth=1).do(lose_reply())
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI))
    await sea.mine(base_fee=60 * GWEI)
    first, second = sea.proxy.sent[:2]
    assert first == second == sea.intent.attempts[0].raw
    assert "tx.refused" not in sea.world.codes()
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]
