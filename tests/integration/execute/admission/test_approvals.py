"""Allowances that liquidations need."""

from keeper.model.intent import IntentState


async def test_missing_allowances_are_granted_through_the_same_books(world):
    executor = await world.executor()
    world.protocol.wanted = [(world.token, world.token)]
    await world.mine(executor, 3)
    [intent] = world.intents()
    assert (intent.kind, intent.state) == ("approve", IntentState.MINED)
    allowance = world.abi.functions["allowance"]
    data = allowance.encode(world.keeper, world.token)
    assert allowance.decode(world.anvil.call(world.token, data)) == (2**256 - 1,)
