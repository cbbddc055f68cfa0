"""F41: the sequencer is down, or only just back: nothing is sent; afterwards what is unsafe is judged anew."""

from pathlib import Path

from keeper.abi import checksum
from keeper.model.events import PLAN_MADE, PLAN_REJECTED, SEQUENCER_DOWN, SEQUENCER_UP, TX_MINED, Level
from keeper.sim.arena import Running, arena_node, running
from keeper.sim.markets.margin_engine.deploy import artifact
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.weather import before_others, deploy, prices, step_until

GRACE_S = 60
LOW = {"ETH": 1_500.0, "BTC": 30_000.0, "SOL": 75.0}
LESS_LOW = {"ETH": 2_400.0, "BTC": 48_000.0, "SOL": 120.0}


def report(arena: harsh.EngineArena, feed: bytes, status: int) -> None:
    """The feed says from the next block on that the sequencer is down (1), or back (0)."""
    data = artifact("UptimeFeed")[0].functions["set"].encode(status, arena.player.time + 12)
    before_others(arena, feed, data)


def made_for(keeper: Running) -> set[str]:
    return {event.fields["account"] for event in keeper.of(PLAN_MADE)}


async def test_f41_nothing_is_sent_until_the_grace_period_is_over_and_the_backlog_is_judged_anew(
    tmp_path: Path,
) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        uptime = deploy(arena, "UptimeFeed", ["uint256"], [1])
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url, live=True, sequencer_feed=checksum(uptime), sequencer_grace_s=GRACE_S)
            async with running(settings) as keeper:
                for _ in range(3):
                    await keeper.handled((await arena.quiet()).number)
                sent = len(proxy.sent)
                report(arena, uptime, 1)
                for _ in range(2):
                    await keeper.handled((await prices(arena, LOW)).number)
                assert keeper.daemon.decision.assessment.unsafe
                backlog = {checksum(account.address) for account in keeper.daemon.decision.assessment.unsafe}
                [down] = keeper.of(SEQUENCER_DOWN)
                assert down.kind.level is Level.CRITICAL
                held = {event.message.partition(" skipped: ")[2] for event in keeper.of(PLAN_REJECTED)}
                assert held == {"the sequencer is down"}
                report(arena, uptime, 0)
                for _ in range(GRACE_S // 12):
                    await keeper.handled((await prices(arena, LESS_LOW)).number)
                assert len(proxy.sent) == sent
                assert "up for less than" in keeper.of(SEQUENCER_DOWN)[-1].message
                safe_again = backlog - {
                    checksum(account.address) for account in keeper.daemon.decision.assessment.unsafe
                }
                assert safe_again, "part of the backlog must have become safe"
                await step_until(arena, keeper, lambda: bool(keeper.of(TX_MINED)[1:]), lambda: prices(arena, LESS_LOW))
                assert len(keeper.of(SEQUENCER_UP)) == 1
                assert not made_for(keeper) & safe_again
                await assert_invariants(arena, [proxy], [keeper])
