"""F42: prices halve, ten times the liquidations, twenty times the base fee: the best first, and nobody starves."""

from itertools import pairwise
from pathlib import Path

from keeper.abi import checksum
from keeper.model.events import (
    OPPORTUNITIES_MISSED,
    PLAN_MADE,
    PLAN_REJECTED,
    TX_MINED,
    TX_REPLACED,
    TX_REVERTED,
    TX_SENT,
    Level,
)
from keeper.sim.arena import Running, arena_node, running
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.weather import give_tokens, prices

GWEI = 10**9
CALM_FEE, STORM_FEE, ABOVE_CAP = 1 * GWEI, 20 * GWEI, 700 * GWEI
DIP = {"ETH": 2_750.0, "BTC": 55_000.0, "SOL": 136.0}
HALF = {"ETH": 1_500.0, "BTC": 30_000.0, "SOL": 75.0}
CAPITAL = 4_000 * 10**6  # USDC: a fraction of what all seizures need
SLOTS = 6


async def block(arena: harsh.EngineArena, keeper: Running, dollars: dict[str, float], base_fee: int) -> int:
    arena.anvil.set_next_base_fee(base_fee)
    number = (await prices(arena, dollars)).number
    await keeper.handled(number)
    return number


async def test_f42_the_best_first_fees_follow_capital_turns_over_and_nobody_starves(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=120, blocks=30)
        give_tokens(arena, "USDC", CAPITAL)
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(
                proxy.url, live=True, max_in_flight=SLOTS, missed_blocks=3, native_price_usd=3_000
            )
            async with running(settings) as keeper:
                for dollars in (arena.player.prices, DIP, DIP):
                    await block(arena, keeper, dict(dollars), CALM_FEE)
                few = max(len(keeper.daemon.decision.assessment.unsafe), 1)
                crash = await block(arena, keeper, HALF, CALM_FEE)
                many = len(keeper.daemon.decision.assessment.unsafe)
                assert many >= 10 * few

                first = [event for event in keeper.of(PLAN_MADE) if event.block == crash]
                values = [event.fields["value_usd"] for event in first]
                assert len(first) == SLOTS
                assert all(before >= after for before, after in pairwise(values)), "highest net value first"

                for _ in range(4):  # nothing that the cap allows is mined
                    await block(arena, keeper, HALF, ABOVE_CAP)
                [missed] = keeper.of(OPPORTUNITIES_MISSED)[:1]
                assert missed.kind.level is Level.CRITICAL

                for _ in range(45):
                    await block(arena, keeper, HALF, STORM_FEE)
                assert keeper.of(TX_REPLACED), "fees follow"
                late = [event for event in keeper.of(TX_SENT) if event.block > crash + 6]
                assert (
                    min(int(event.fields["max_fee_wei"]) for event in late) >= STORM_FEE * 7 // 8
                )  # what a quiet block leaves of it

                spent = -sum(seizures(keeper, arena))
                assert spent > CAPITAL, "what is earned and freed is used again"
                assert not keeper.of(TX_REVERTED)
                assert not starving(keeper)
                await assert_invariants(arena, [proxy], [keeper])


def seizures(keeper: Running, arena: harsh.EngineArena) -> list[int]:
    """USDC that each mined seizure took."""
    usdc = "0x" + arena.market.deployed.tokens["USDC"].hex()
    moved = [int(event.fields["profit"].get(usdc, "0")) for event in keeper.of(TX_MINED)]
    return [units for units in moved if units < 0]


def starving(keeper: Running) -> list[str]:
    """Accounts that are unsafe and never had their turn, and not because there is nothing legal or worth doing."""
    served = {event.fields["account"] for event in keeper.of(PLAN_MADE)}
    reasons = {event.fields["account"]: event.fields["reason"] for event in keeper.of(PLAN_REJECTED)}
    unsafe = {checksum(account.address) for account in keeper.daemon.decision.assessment.unsafe}
    return [
        account
        for account in unsafe - served
        if reasons.get(account) in ("too_many_in_flight", "in_flight", "cooling_down", None)
    ]
