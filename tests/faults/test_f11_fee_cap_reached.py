"""F11: the base fee rises above the cap. No more rungs, the same bytes stay out, one alert, then it is cancelled."""

from keeper.model.intent import IntentState
from tests.support.world import GWEI


async def test_it_stops_climbing_keeps_its_bytes_out_alerts_once_and_cancels_at_the_deadline(sea, strict):
    cap = sea.world.policy.max_fee
    await sea.submit(await sea.world.plan(0, max_fee=400 * GWEI, bid=cap))
    await sea.mine(base_fee=600 * GWEI)
    sea.drop(sea.intent.attempts[-1].tx_hash)
    newest = sea.intent.attempts[-1].raw
    await sea.mine(4, base_fee=700 * GWEI)
    assert sea.intent.state is IntentState.PENDING
    assert sea.proxy.sent.count(newest) >= 2
    assert sea.intent.attempts[-1].raw == newest
    assert sea.world.codes("tx.stuck") == ["tx.stuck"]
    await sea.mine(2, base_fee=700 * GWEI)
    assert sea.intent.state is IntentState.CANCELLING
    assert max(attempt.max_fee for attempt in sea.intent.attempts) <= cap
    await sea.settle()
    assert sea.intent.state is IntentState.CANCELLED
    assert sea.world.codes("tx.stuck") == ["tx.stuck"]
