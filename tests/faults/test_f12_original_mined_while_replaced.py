"""F12: the original is mined while its replacement is in flight. It is recognised by its hash and booked once."""

from keeper.model.intent import IntentState
from tests.faults.conftest import SEND
from tests.support.proxy import rpc_error
from tests.support.world import GWEI, TOKENS


async def again(sea, raw: bytes) -> None:
    """Another node still had it: this one forgets what it cannot mine at once."""
    sea.world.anvil.set_next_base_fee(GWEI)
    sea.world.anvil.mine()
    sea.world.anvil.rpc(SEND, "0x" + raw.hex())


async def test_the_original_is_booked_once_and_the_replacements_refusal_is_ignored(sea):
    sea.proxy.when(SEND, nth=2).do(rpc_error(-32000, "nonce too low: next nonce 1, tx nonce 0"))
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI))
    await sea.mine(base_fee=60 * GWEI)
    assert len(sea.intent.attempts) == 2
    assert sea.intent.state is IntentState.PENDING
    await again(sea, sea.intent.attempts[0].raw)
    await sea.mine(base_fee=GWEI)
    assert sea.intent.outcome.tx_hash == sea.intent.attempts[0].tx_hash
    assert sea.proxy.sent == [attempt.raw for attempt in sea.intent.attempts], "nothing went out again"
    await sea.mine(3)
    assert sea.world.codes("tx.mined") == ["tx.mined"]
    await sea.settle()
    assert sea.world.tokens(sea.world.keeper) == 10 * TOKENS


async def test_the_original_found_mined_while_the_node_still_counts_the_nonce_as_free(sea):
    await sea.submit(await sea.world.plan(0, max_fee=20 * GWEI))
    original = sea.intent.attempts[0]
    await sea.mine(base_fee=60 * GWEI)
    sea.drop(sea.intent.attempts[1].tx_hash)
    await again(sea, original.raw)
    await sea.mine(base_fee=GWEI)
    assert (sea.intent.state, sea.intent.outcome.tx_hash) == (IntentState.MINED, original.tx_hash)
    await sea.settle()
