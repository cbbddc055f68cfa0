"""A second start goes on from the journal."""

import pytest

from keeper.errors import OperatorError
from keeper.execute.executor import LiveExecution
from keeper.execute.tx.requests import from_plan
from keeper.model.chain import hexed
from keeper.model.intent import IntentState
from tests.support.world import TOKENS


class CrashError(Exception):
    """The process ends here."""


def crash_at(point: str):
    def hook(name: str) -> None:
        if name == point:
            raise CrashError

    return hook


async def crashed(world, point: str) -> None:
    executor: LiveExecution = await world.executor(hook=crash_at(point))
    with pytest.raises(CrashError):
        await world.submit(executor, await world.plan(0))
    await world.stop(executor)


async def test_signed_bytes_that_never_left_are_sent_after_a_crash(world):
    await crashed(world, "journal.committed")
    assert world.tap.sent == []
    executor = await world.executor()
    [intent] = world.intents()
    assert world.tap.sent == [intent.attempts[0].raw]
    await world.mine(executor)
    assert [(i.state, i.nonce) for i in world.intents()] == [(IntentState.MINED, 0)]


async def test_bytes_that_left_before_a_crash_are_found_and_not_sent_as_another(world):
    await crashed(world, "sender.sent")
    world.anvil.mine()
    executor = await world.executor()
    await world.mine(executor)
    [intent] = world.intents()
    assert (intent.state, len(intent.attempts)) == (IntentState.MINED, 1)
    assert len(world.tap.sent) == 1
    assert world.tokens(world.keeper) == 10 * TOKENS


async def test_bytes_that_wait_in_the_pool_are_taken_up_again(world):
    await crashed(world, "sender.sent")
    executor = await world.executor()
    await world.mine(executor)
    assert [intent.state for intent in world.intents()] == [IntentState.MINED]
    assert len(set(world.tap.sent)) == 1


@pytest.mark.parametrize("point", ["journal.reserved", "signer.signed"])
async def test_a_reservation_that_was_never_signed_frees_its_nonce(world, point):
    await crashed(world, point)
    executor = await world.executor()
    await world.submit(executor, await world.plan(1))
    await world.mine(executor)
    assert [(i.nonce, i.state) for i in world.intents()] == [(0, IntentState.DROPPED), (0, IntentState.MINED)]


async def test_what_passed_its_deadline_while_the_keeper_was_down_is_cancelled(world):
    await crashed(world, "journal.committed")
    world.anvil.mine(10)
    executor = await world.executor()
    await world.mine(executor)
    [intent] = world.intents()
    assert intent.state is IntentState.CANCELLED
    assert world.tokens(world.keeper) == 0
    assert len(world.tap.sent) == 1


async def test_a_cancellation_is_taken_up_as_one(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0))
    [intent] = world.intents()
    world.anvil.rpc("anvil_dropTransaction", "0x" + intent.attempts[0].tx_hash.hex())
    world.anvil.mine(10)
    await executor.follow(await world.snapshot())
    await world.stop(executor)
    assert world.intents()[0].state is IntentState.CANCELLING
    executor = await world.executor()
    await world.mine(executor)
    assert world.intents()[0].state is IntentState.CANCELLED


async def test_a_reorg_while_the_keeper_was_down_is_noticed(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0))
    await world.mine(executor)
    await world.stop(executor)
    world.anvil.reorg(1)
    executor = await world.executor()
    await world.mine(executor, 4)
    [intent] = world.intents()
    assert intent.state is IntentState.MINED
    assert "tx.reorged" in world.codes()
    assert world.tokens(world.keeper) == 10 * TOKENS


async def test_the_first_fee_leaves_room_for_a_cancellation_under_the_cap(world):
    plan = await world.plan(0, max_fee=world.policy.max_fee, bid=world.policy.max_fee)
    draft = from_plan(plan, world.policy.max_fee * 100 // 110)
    assert draft.fees.max_fee * 110 <= world.policy.max_fee * 100


async def test_a_chain_that_went_back_beyond_any_reorg_is_told_before_anything_is_sent(world):
    executor = await world.executor()
    await world.submit(executor, await world.plan(0))
    await world.mine(executor)
    await world.stop(executor)
    world.anvil.mine(200)
    again = await world.executor()  # the same chain, much later
    await world.stop(again)
    world.anvil.rpc("anvil_setNonce", hexed(world.keeper), "0x0")
    with pytest.raises(OperatorError, match="it went back"):
        await world.executor()
