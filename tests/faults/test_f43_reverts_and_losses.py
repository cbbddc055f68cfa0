"""F43: reverts in a row, or losses in a day: the breaker opens, what is on its way ends, time or a person closes it."""

from decimal import Decimal
from pathlib import Path

from keeper.cli.main import main
from keeper.model.events import (
    BREAKER_CLOSED,
    BREAKER_OPEN,
    OPPORTUNITIES_MISSED,
    PLAN_REJECTED,
    TX_MINED,
    TX_REVERTED,
    TX_SENT,
    EventKind,
    Level,
)
from keeper.sim.arena import Running, arena_node, running
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.weather import environment_file, govern, step_until

RESET = 8


def breakers(keeper: Running, kind: EventKind = BREAKER_OPEN) -> list[str]:
    return [event.fields["breaker"] for event in keeper.of(kind)]


async def make_reverts(arena: harsh.EngineArena, keeper: Running, least: int) -> None:
    """So many on their way at once, and a block in which the engine is paused before them."""
    await step_until(arena, keeper, lambda: keeper.daemon.stages.execution.in_flight().count >= least)
    govern(arena, "pause")
    await keeper.handled((await arena.step()).number)
    govern(arena, "unpause")


async def test_f43_reverts_in_a_row_hold_sending_and_blocks_release_it(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        async with (
            FaultProxy(anvil.url) as proxy,
            running(
                arena.settings(proxy.url, live=True, max_reverts=3, breaker_reset_blocks=RESET, missed_blocks=3)
            ) as keeper,
        ):
            await make_reverts(arena, keeper, 3)
            assert len(keeper.of(TX_REVERTED)) >= 3
            assert breakers(keeper) == ["reverts"]
            assert keeper.of(BREAKER_OPEN)[0].kind.level is Level.CRITICAL
            sent = len(proxy.sent)
            opened = arena.anvil.block_number()
            await step_until(arena, keeper, lambda: arena.anvil.block_number() == opened + RESET - 1)
            assert len(proxy.sent) == sent
            assert keeper.daemon.stages.execution.in_flight().count == 0
            assert "hold" in {event.fields["reason"] for event in keeper.of(PLAN_REJECTED)}
            assert keeper.of(OPPORTUNITIES_MISSED)[0].fields["held"] == "3 reverts in a row"
            before = len(keeper.of(TX_MINED))
            await step_until(arena, keeper, lambda: len(keeper.of(TX_MINED)) > before)
            assert breakers(keeper, BREAKER_CLOSED) == ["reverts"]
            await assert_invariants(arena, [proxy], [keeper])


async def test_f43_a_days_losses_hold_sending_over_a_restart_until_a_person_resumes(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(
                proxy.url, live=True, max_reverts=100, max_loss_usd_day=Decimal("0.25"), breaker_reset_blocks=1
            )
            async with running(settings) as first:
                await make_reverts(arena, first, 2)
                assert breakers(first) == ["loss"]
                await first.handled((await arena.step()).number)
            sent = len(proxy.sent)
            async with running(settings) as second:
                await step_until(arena, second, lambda: len(second.of(PLAN_REJECTED)) > 0)
                assert breakers(second) == ["loss"]
                assert len(proxy.sent) == sent
                assert main(["resume", "--env-file", str(environment_file(arena, settings))]) == 0
                await step_until(arena, second, lambda: bool(second.of(TX_MINED)))
                assert breakers(second, BREAKER_CLOSED) == ["loss"]
                assert second.of(TX_SENT)
                await assert_invariants(arena, [proxy], [first, second])
