"""On Arbitrum a gas limit without the gas for data is refused: also that of a cancellation, and of an approval."""

from dataclasses import replace

from keeper.execute.signing.encoding import transaction_in
from keeper.model.data_fees import DataFees
from keeper.model.intent import IntentState

ARBITRUM = DataFees(byte_price=1_000 * 10**9, gas_price=10**9)


async def test_a_cancellation_and_an_approval_have_the_gas_for_their_data(world):
    world.protocol.wanted = [(world.token, world.victims[0])]
    executor = await world.executor(targets=[world.token, world.victims[0]])
    await world.submit(executor, await world.plan(0, deadline=2))
    for _ in range(2):
        snapshot = replace(await world.snapshot(), data_fees=ARBITRUM)
        await executor.follow(snapshot)
        world.anvil.rpc("anvil_dropAllTransactions")
        world.anvil.mine()
    await executor.follow(replace(await world.snapshot(), data_fees=ARBITRUM))
    attempts = [attempt for intent in world.intents() for attempt in intent.attempts]
    [cancels] = [transaction_in(attempt.raw)[0] for attempt in attempts if attempt.cancels]
    assert cancels.gas == 21_000 + ARBITRUM.most_gas(0)
    [approves] = [intent for intent in world.intents() if intent.kind == "approve"]
    assert approves.gas_limit == 120_000 + ARBITRUM.most_gas(len(approves.data))
    assert {intent.state for intent in world.intents()} <= {IntentState.CANCELLING, IntentState.PENDING}
