"""F14: a gas limit above what one transaction may have (2^24, EIP-7825) is refused in planning and never signed."""

import pytest

from keeper.errors import InvariantBroken
from keeper.execute.signing.calls import AnyCall
from keeper.execute.signing.local import from_private_key
from keeper.execute.signing.policy import MAX_TX_GAS, SigningPolicy
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.signer import UnsignedTx
from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from tests.faults.conftest import SEND
from tests.support.anvil import dev_key
from tests.support.node_rules import gas_cap
from tests.support.world import CHAIN_ID, GWEI


async def test_it_is_refused_before_a_nonce_is_taken_and_others_go_out(sea):
    sea.proxy.when(SEND).do(gas_cap())
    too_much, fits = await sea.world.plan(0, gas_limit=MAX_TX_GAS + 1), await sea.world.plan(1)
    [refused] = await sea.submit(too_much, fits)
    assert (refused.account, refused.reason) == (sea.world.victims[0], Rejection.BLOCK_GAS)
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]
    assert "tx.refused" not in sea.world.codes()


async def test_the_policy_signer_refuses_it_whoever_asks(sea):
    keeper, token = sea.world.keeper, sea.world.token
    signer = PolicySigner(
        from_private_key(dev_key(1).hex()), SigningPolicy(CHAIN_ID, keeper, frozenset([token]), GWEI, calls=AnyCall())
    )
    with pytest.raises(InvariantBroken, match="gas limit"):
        await signer.sign(UnsignedTx(CHAIN_ID, 0, token, b"", MAX_TX_GAS + 1, GWEI, 0))


async def test_a_node_with_a_lower_cap_frees_the_nonce_for_others(sea):
    sea.proxy.when(SEND).do(gas_cap(90_000))
    await sea.submit(await sea.world.plan(0, gas_limit=100_000))
    assert sea.world.event("tx.refused").fields["reason"] == "gas_limit"
    await sea.submit(await sea.world.plan(1, gas_limit=90_000))
    await sea.settle()
    assert sea.states() == [(0, IntentState.DROPPED), (0, IntentState.MINED)]
