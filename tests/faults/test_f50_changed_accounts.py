"""F50: an account that changes between plan and signature costs its own transaction, and stops nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from keeper.errors import InvariantBroken
from keeper.model.chain import Call
from keeper.model.intent import IntentState
from keeper.model.stakes import Stakes
from keeper.protocols.base import Snapshot
from tests.faults.test_f50_altered_calldata import Checked, Desk, desk
from tests.support.world import GWEI

__all__ = ["desk"]
LATER = 7  # seconds to the next block, as the plans expect


class Watched(Checked):
    """Notes the times at which it is asked, and says what it is told of the first victim."""

    said: dict[str, str]
    times: list[int]
    victim: bytes

    def stakes(self, snapshot: Snapshot, call: Call) -> Stakes:
        self.times.append(snapshot.block.timestamp)
        found = super().stakes(snapshot, call)
        return replace(found, **self.said) if found.accounts[0] == self.victim else found  # type: ignore[arg-type]


def watched(desk: Desk) -> Watched:
    protocol = Watched(desk.world)
    protocol.said, protocol.times, protocol.victim = {}, [], desk.world.victims[0]
    desk.world.protocol = protocol
    return protocol


async def submitted(desk: Desk, executor: Any, *victims: int) -> int:
    """Submit plans for a block that is `LATER` seconds after the head; its time."""
    snapshot = await desk.world.snapshot()
    at = snapshot.block.timestamp + LATER
    await executor.submit([await desk.world.plan(victim) for victim in victims], snapshot, at)
    return at


async def test_calls_are_judged_at_the_time_of_the_block_that_they_were_planned_for(desk: Desk) -> None:
    protocol, world = watched(desk), desk.world
    executor = await desk.executor()
    at = await submitted(desk, executor, 0)
    assert set(protocol.times) == {at}
    protocol.times.clear()
    await world.mine(executor, 2, base_fee=60 * GWEI)
    assert desk.replaced(0)
    newest = (await world.snapshot()).block.timestamp
    assert protocol.times
    assert newest < max(protocol.times) == newest + LATER


async def test_what_only_this_block_contradicts_is_not_signed_and_stops_nothing(desk: Desk) -> None:
    protocol, world = watched(desk), desk.world
    executor = await desk.executor()
    protocol.said = {"doubt": "the position is on the other side at this price"}
    await submitted(desk, executor, 1, 0)
    assert desk.nonces == [0]
    assert [intent.state for intent in world.intents()] == [IntentState.PENDING, IntentState.DROPPED]
    assert executor.held == ""
    assert not executor.broken


@pytest.mark.parametrize("what", ["misfit", "doubt"])
async def test_a_position_that_a_rival_closed_is_not_replaced_and_stops_nothing(desk: Desk, what: str) -> None:
    protocol, world = watched(desk), desk.world
    executor = await desk.executor()
    await submitted(desk, executor, 0, 1)
    protocol.said = {what: "the position is closed"}
    await world.mine(executor, 3, base_fee=60 * GWEI)
    assert not desk.replaced(0)
    assert desk.replaced(1)
    assert executor.held == ""
    assert not executor.broken


async def test_what_every_block_contradicts_is_never_signed(desk: Desk) -> None:
    protocol = watched(desk)
    executor = await desk.executor()
    protocol.said = {"misfit": "the position is smaller"}
    with pytest.raises(InvariantBroken):
        await submitted(desk, executor, 0)
    assert desk.nonces == []
    desk.assert_held(executor)
