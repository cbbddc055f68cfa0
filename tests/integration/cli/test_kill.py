"""The kill switch: `keeper kill`, `keeper resume`, `keeper status`, with and without a keeper that runs."""

import asyncio
import json
from pathlib import Path

import pytest

from keeper.cli.main import main
from keeper.model.events import BREAKER_CLOSED, BREAKER_OPEN, KILL_CANCELLING, TX_CANCELLED, TX_MINED
from keeper.model.intent import IntentState
from keeper.settings import Settings
from keeper.sim.arena import arena_node, running
from tests.support import harsh
from tests.support.invariants import assert_invariants, journal_of
from tests.support.proxy import FaultProxy
from tests.support.weather import environment_file, step_until

SEND = "eth_sendRawTransaction"


async def command(arena: harsh.EngineArena, settings: Settings, *words: str) -> int:
    """As an operator types it, beside whatever runs here."""
    return await asyncio.to_thread(main, [*words, "--env-file", str(environment_file(arena, settings))])


async def test_a_running_keeper_cancels_within_a_block_and_holds_until_resumed(tmp_path: Path, capsys) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url, live=True)
            async with running(settings) as keeper:
                await step_until(arena, keeper, lambda: keeper.daemon.stages.execution.in_flight().count >= 2)
                on_their_way = keeper.daemon.stages.execution.in_flight().count
                assert await command(arena, settings, "kill", "--wait", "0") == 6
                assert "still in flight: nonce" in capsys.readouterr().out
                mined = len(keeper.of(TX_MINED))
                anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**9))
                await arena_block_without(arena, keeper)
                assert [event.fields["breaker"] for event in keeper.of(BREAKER_OPEN)] == ["kill"]
                assert keeper.of(KILL_CANCELLING)[0].fields["remaining"] == on_their_way
                states = {intent.state for intent in journal_of(settings) if not intent.state.final}
                assert states == {IntentState.CANCELLING}
                await keeper.handled((await arena.step()).number)
                assert keeper.of(KILL_CANCELLING)[-1].fields["remaining"] == 0
                assert len(keeper.of(TX_CANCELLED)) == on_their_way
                assert len(keeper.of(TX_MINED)) == mined
                assert await command(arena, settings, "kill") == 0
                sent = len(proxy.sent)
                await step_until(arena, keeper, lambda: arena.played > 20)
                assert len(proxy.sent) == sent
                capsys.readouterr()
                assert await command(arena, settings, "status", "--json") == 0
                assert "kill" in json.loads(capsys.readouterr().out)["breakers"]
                assert await command(arena, settings, "resume") == 0
                assert "closed: kill" in capsys.readouterr().out
                await step_until(arena, keeper, lambda: len(keeper.of(TX_MINED)) > mined)
                assert [event.fields["breaker"] for event in keeper.of(BREAKER_CLOSED)] == ["kill"]
                await assert_invariants(arena, [proxy], [keeper])


async def arena_block_without(arena: harsh.EngineArena, keeper) -> None:
    """A block that is too expensive for what the keeper has in the pool."""
    anvil = arena.anvil
    arena.player.time += 12
    anvil.set_next_timestamp(arena.player.time)
    anvil.set_next_base_fee(400 * 10**9)
    anvil.mine()
    anvil.set_next_base_fee(10**9)
    await keeper.handled(anvil.block_number())


@pytest.mark.parametrize("left", [True, False], ids=["something is on its way", "nothing is"])
async def test_where_no_keeper_runs_the_command_cancels_itself(tmp_path: Path, capsys, left: bool) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url, live=True)
            async with running(settings) as keeper:
                await step_until(
                    arena,
                    keeper,
                    lambda: (keeper.daemon.stages.execution.in_flight().count >= 2) is left and arena.played > 2,
                )
            assert bool(unfinished(settings)) is left
            killing = asyncio.create_task(command(arena, settings, "kill", "--wait", "20"))
            while not killing.done():
                if any(intent.state is IntentState.CANCELLING for intent in unfinished(settings)):
                    await arena.step()
                await asyncio.sleep(0.05)  # the pace of the chain
            assert killing.result() == 0
            assert "no transaction is in flight" in capsys.readouterr().out
            states = [intent.state for intent in journal_of(settings)]
            assert (IntentState.CANCELLED in states) is left
            sent = len(proxy.sent)
            async with running(settings) as again:  # it runs, but holds
                await step_until(arena, again, lambda: again.daemon.decision.assessment.unsafe)
                assert [event.fields["breaker"] for event in again.of(BREAKER_OPEN)] == ["kill"]
                assert len(proxy.sent) == sent
                await assert_invariants(arena, [proxy], [keeper, again])


def unfinished(settings: Settings) -> list:
    return [intent for intent in journal_of(settings) if not intent.state.final]


async def test_a_broken_wire_does_not_keep_the_switch_from_being_pulled(tmp_path: Path, capsys) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        settings = arena.settings(anvil.url, live=True)
        async with running(settings) as keeper:
            await step_until(arena, keeper, lambda: keeper.daemon.stages.execution.in_flight().count >= 2)
    assert await command(arena, settings, "kill") == 4
    found = capsys.readouterr()
    assert "the kill switch is on" in found.out
    assert found.err.count("\n") == 1
