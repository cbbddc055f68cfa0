"""F15: the signer is delegated to a contract (EIP-7702), so nodes take one transaction of it at a time."""

import pytest

from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from tests.faults.conftest import SEND
from tests.support.proxy import rpc_error

LIMIT = rpc_error(-32000, "in-flight transaction limit reached for delegated accounts")


@pytest.mark.parametrize("known", [True, False], ids=["found at the start", "told by a node"])
async def test_one_transaction_is_in_flight_at_a_time(sea, known: bool):
    if known:
        sea.world.anvil.set_code(sea.world.keeper, bytes.fromhex("ef0100") + sea.world.token)
        await sea.restart()
        refused = await sea.submit(*[await sea.world.plan(victim) for victim in range(2)])
        assert [no.reason for no in refused] == [Rejection.TOO_MANY_IN_FLIGHT]
    else:
        sea.proxy.when(SEND, nth=2).do(LIMIT)
        assert await sea.submit(*[await sea.world.plan(victim) for victim in range(2)]) == []
        [refused_later] = await sea.submit(await sea.world.plan(2))
        assert refused_later.reason is Rejection.TOO_MANY_IN_FLIGHT
    assert sea.world.codes("signer.") == ["signer.limited"]
    await sea.mine()
    await sea.submit(await sea.world.plan(2))
    await sea.settle()
    assert [state for _, state in sea.states() if state is not IntentState.DROPPED] == [IntentState.MINED] * 2
