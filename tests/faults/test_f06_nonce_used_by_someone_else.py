"""F6: another holder of the key uses a nonce of ours. The keeper holds until a person has looked."""

from keeper.model.intent import IntentState
from keeper.model.plan import Rejection


async def test_it_ends_superseded_with_a_critical_alert_and_nothing_more_is_sent_until_an_operator_acts(sea):
    await sea.submit(await sea.world.plan(0))
    sea.drop(sea.intent.attempts[0].tx_hash)
    foreign = bytes.fromhex(sea.world.anvil.send(sea.world.keeper, sender=sea.world.keeper)[2:])
    await sea.mine(2)
    assert sea.intent.state is IntentState.PENDING, "one look is not enough: a node may lag"
    await sea.mine(2)
    assert sea.intent.state is IntentState.SUPERSEDED
    assert sea.world.event("tx.superseded").kind.level == "critical"
    [refused] = await sea.submit(await sea.world.plan(1))
    assert refused.reason is Rejection.HOLD
    await sea.mine(60)
    [refused] = await sea.submit(await sea.world.plan(1))
    assert refused.reason is Rejection.HOLD, "it does not close by itself"
    await sea.restart()
    [refused] = await sea.submit(await sea.world.plan(1))
    assert refused.reason is Rejection.HOLD, "nor by a restart"
    sea.world.resume()
    await sea.mine()
    assert await sea.submit(await sea.world.plan(1)) == []
    await sea.settle(foreign=[foreign])
    assert sea.states() == [(0, IntentState.SUPERSEDED), (1, IntentState.MINED)]
