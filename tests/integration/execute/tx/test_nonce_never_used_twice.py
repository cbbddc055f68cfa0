"""No nonce carries two liquidations: at once, after lost replies, refusals, evictions and crashes, on a real node.

`tests/faults/test_crash_points.py` ends keepers at each point of the send path; F1 to F12 of `docs/faults.md` add
what nodes do.
"""

import pytest

from keeper.errors import OperatorError
from keeper.execute.tx.crash_points import CrashPoint
from keeper.model.chain import hexed
from keeper.model.intent import IntentState, SendResult, SendStatus
from keeper.model.plan import Rejection
from keeper.observe.pnl import summarise
from tests.support.world import GWEI, TOKENS


async def test_plans_of_one_block_go_out_at_once_on_consecutive_nonces(world):
    executor = await world.executor()
    await world.submit(executor, *[await world.plan(victim) for victim in range(3)])
    assert [intent.nonce for intent in world.intents()] == [0, 1, 2]
    assert {intent.state for intent in world.intents()} == {IntentState.PENDING}
    in_flight = executor.in_flight()
    assert in_flight.accounts == frozenset(world.victims)
    assert in_flight.count == 3
    assert in_flight.uses == {"cap": 30 * TOKENS}
    assert in_flight.native == 3 * 100_000 * 50 * GWEI
    await world.mine(executor)
    assert {intent.state for intent in world.intents()} == {IntentState.MINED}
    assert len({intent.outcome.block_number for intent in world.intents()}) == 1
    assert executor.in_flight().count == 0


async def test_every_byte_that_left_is_in_the_journal(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0), await world.plan(1))
    await world.mine(executor, 2, base_fee=80 * GWEI)
    assert len(world.tap.sent) > 2
    written = {attempt.raw for intent in world.intents() for attempt in intent.attempts}
    assert set(world.tap.sent) <= written


async def test_an_account_on_its_way_is_not_sent_twice(world):
    executor = await world.executor()
    first, second = await world.plan(0), await world.plan(0, 5 * TOKENS)
    [refused] = await world.submit(executor, first, second)
    assert refused.reason is Rejection.IN_FLIGHT
    [refused] = await world.submit(executor, second)
    assert refused.reason is Rejection.IN_FLIGHT
    assert len(world.tap.sent) == 1


async def test_a_lost_reply_keeps_its_nonce_and_ends_in_one_liquidation(world):
    executor = await world.executor()
    world.tap.spoil.append(lambda _: SendResult(SendStatus.UNKNOWN, "lost", "the connection broke"))
    await world.submit(executor, await world.plan(0))
    assert world.codes("tx.") == ["tx.unknown", "tx.sent"]
    await world.mine(executor, 2)
    [intent] = world.intents()
    assert intent.state is IntentState.MINED
    assert world.tokens(world.keeper) == 10 * TOKENS


async def test_a_refused_transaction_frees_its_nonce_for_the_next(world):
    executor = await world.executor()
    world.tap.swallow = 1
    await world.submit(executor, await world.plan(0))
    assert world.codes("tx.") == ["tx.refused", "tx.cancelled"]
    assert world.event("tx.refused").fields["reason"] == "underpriced"
    await world.submit(executor, await world.plan(1))
    await world.mine(executor)
    assert [(i.nonce, i.state) for i in world.intents()] == [(0, IntentState.DROPPED), (0, IntentState.MINED)]


async def test_the_very_bytes_that_were_refused_may_be_sent_again(world):
    executor = await world.executor()
    plan = await world.plan(0)
    for _ in range(2):
        world.tap.swallow = 1
        await world.submit(executor, plan)
        await world.mine(executor, 3)  # the account cools down
    await world.submit(executor, plan)
    await world.mine(executor)
    assert not executor.held
    states = [(intent.nonce, intent.state) for intent in world.intents() if intent.kind == "take"]
    assert states[-1][1] is IntentState.MINED
    assert states[0] == (0, IntentState.DROPPED)


async def test_a_nonce_gap_that_no_plan_takes_is_filled(world):
    executor = await world.executor()
    world.tap.swallow = 1
    await world.submit(executor, await world.plan(0), await world.plan(1))
    await world.mine(executor, 5)
    states = {(intent.nonce, intent.kind): intent.state for intent in world.intents()}
    assert states == {
        (0, "take"): IntentState.DROPPED,
        (1, "take"): IntentState.MINED,
        (0, "fill"): IntentState.CANCELLED,
    }


async def test_a_nonce_used_by_somebody_else_holds_the_keeper(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0))
    [intent] = world.intents()
    world.anvil.rpc("anvil_dropTransaction", "0x" + intent.attempts[0].tx_hash.hex())
    world.anvil.send(world.keeper, sender=world.keeper)
    await world.mine(executor, 3)
    [intent] = world.intents()
    assert intent.state is IntentState.SUPERSEDED
    assert world.codes("tx.superseded") == ["tx.superseded"]
    assert (await world.submit(executor, await world.plan(1)))[0].reason is Rejection.HOLD


async def test_the_original_mined_while_its_replacement_is_out_is_booked_once(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0, max_fee=20 * GWEI))
    [first] = world.tap.sent
    world.anvil.set_next_base_fee(60 * GWEI)
    world.anvil.mine()
    await executor.follow(await world.snapshot())
    [intent] = world.intents()
    world.anvil.rpc("anvil_dropTransaction", "0x" + intent.attempts[1].tx_hash.hex())
    world.anvil.set_next_base_fee(GWEI)
    world.anvil.mine()
    world.anvil.rpc("eth_sendRawTransaction", "0x" + first.hex())
    await world.mine(executor, 1, base_fee=GWEI)
    [intent] = world.intents()
    assert (intent.state, intent.outcome.tx_hash) == (IntentState.MINED, intent.attempts[0].tx_hash)
    await world.mine(executor, 2)
    assert world.codes("tx.mined") == ["tx.mined"]
    assert world.tokens(world.keeper) == summarise(world.intents()).profit[world.token] == 10 * TOKENS


async def test_an_evicted_transaction_is_sent_again_byte_for_byte(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0))
    [intent] = world.intents()
    world.anvil.rpc("anvil_dropTransaction", "0x" + intent.attempts[0].tx_hash.hex())
    await world.mine(executor, 3)
    [intent] = world.intents()
    assert intent.state is IntentState.MINED
    assert world.tap.sent == [intent.attempts[0].raw] * 2


async def test_signed_bytes_that_never_left_are_sent_after_a_crash(world):
    await world.crash(CrashPoint.COMMITTED)
    assert world.tap.sent == []
    executor = await world.executor()
    [intent] = world.intents()
    assert world.tap.sent == [intent.attempts[0].raw]
    await world.mine(executor)
    assert [(i.state, i.nonce) for i in world.intents()] == [(IntentState.MINED, 0)]


async def test_bytes_that_left_before_a_crash_are_found_and_not_sent_as_another(world):
    await world.crash(CrashPoint.SENT)
    world.anvil.mine()
    executor = await world.executor()
    await world.mine(executor)
    [intent] = world.intents()
    assert (intent.state, len(intent.attempts)) == (IntentState.MINED, 1)
    assert len(world.tap.sent) == 1
    assert world.tokens(world.keeper) == 10 * TOKENS


async def test_bytes_that_wait_in_the_pool_are_taken_up_again(world):
    await world.crash(CrashPoint.SENT)
    executor = await world.executor()
    await world.mine(executor)
    assert [intent.state for intent in world.intents()] == [IntentState.MINED]
    assert len(set(world.tap.sent)) == 1


@pytest.mark.parametrize("point", [CrashPoint.RESERVED, CrashPoint.SIGNED])
async def test_a_reservation_that_was_never_signed_frees_its_nonce(world, point):
    await world.crash(point)
    executor = await world.executor()
    await world.submit(executor, await world.plan(1))
    await world.mine(executor)
    assert [(i.nonce, i.state) for i in world.intents()] == [(0, IntentState.DROPPED), (0, IntentState.MINED)]


async def test_a_chain_that_went_back_beyond_any_reorg_is_told_before_anything_is_sent(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0))
    await world.mine(executor)
    await world.stop(executor)
    world.anvil.mine(200)
    again = await world.executor()  # the same chain, much later
    await world.stop(again)
    world.anvil.rpc("anvil_setNonce", hexed(world.keeper), "0x0")
    with pytest.raises(OperatorError, match="the chain was reset"):
        await world.executor()
