"""What stops the live execution from sending."""

import sqlite3

import pytest

from keeper.errors import InvariantBroken
from keeper.model.intent import IntentState
from keeper.model.plan import Rejection


async def test_a_stopping_keeper_takes_no_more_plans(world):
    executor = await world.executor()
    await executor.drain(1.0)
    [refused] = await world.submit(executor, await world.plan(0))
    assert refused.reason is Rejection.HOLD
    assert world.tap.sent == []


async def test_what_must_not_be_signed_stops_everything_and_leaves_nothing_behind(world):
    executor = await world.executor(targets=[])
    with pytest.raises(InvariantBroken, match="refused to sign"):
        await world.submit(executor, await world.plan(0), await world.plan(1))
    assert world.tap.sent == []
    assert [intent.state for intent in world.intents()] == [IntentState.DROPPED] * 2
    assert world.event("breaker.open").kind.level == "critical"
    [refused] = await world.submit(executor, await world.plan(2))
    assert refused.reason is Rejection.HOLD


async def test_without_a_journal_nothing_is_sent(world):
    executor = await world.executor()
    with sqlite3.connect(world.data_dir / "keeper.db") as database:
        database.execute("alter table attempts rename to gone")
    database.close()
    [refused] = await world.submit(executor, await world.plan(0))
    assert refused.reason is Rejection.HOLD
    assert "the journal cannot be" in refused.message
    assert "the journal cannot be" in executor.held
    assert "the journal cannot be" in world.event("journal.unavailable").fields["error"]
    assert world.tap.sent == []


async def test_a_node_that_does_not_answer_is_a_hold_and_not_a_verdict(world):
    executor = await world.executor()
    plan, snapshot = await world.plan(0), await world.snapshot()
    world.anvil.stop()
    [refused] = await executor.submit([plan], snapshot, snapshot.block.timestamp + 1)
    assert refused.reason is Rejection.HOLD
    assert executor.in_flight().cooling == {}
    await executor.follow(snapshot)
    assert executor.held == ""
