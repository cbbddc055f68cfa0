"""F44: a collateral turns bad after it was listed: it is quarantined with the reason, and everything else goes on."""

from pathlib import Path
from typing import Any

import pytest

from keeper.model.events import ASSET_QUARANTINED, PLAN_MADE, PLAN_REJECTED, TX_MINED, TX_REVERTED
from keeper.sim.arena import Running, arena_node, running
from keeper.sim.markets.margin_engine.deploy import artifact
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.weather import become, before_others, prices

LOW = {"ETH": 1_500.0, "BTC": 30_000.0, "SOL": 75.0}


def mood(arena: harsh.EngineArena, name: str, *args: Any) -> None:
    """The token turns bad with the next block."""
    token = arena.market.deployed.tokens["WETH"]
    become(arena, token, "MoodyToken", ["string", "uint8"], ["WETH", 18])
    before_others(arena, token, artifact("MoodyToken")[0].functions[name].encode(*args))


def made(keeper: Running, kind: str, subject: str) -> int:
    return sum((e.fields["kind"], e.fields["subject"]) == (kind, subject) for e in keeper.of(PLAN_MADE))


@pytest.mark.parametrize("what", ["paused", "blocked", "drained"])
async def test_f44_what_cannot_be_seized_is_quarantined_after_two_failures(tmp_path: Path, what: str) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        turns = {
            "paused": ("setPaused", True),
            "blocked": ("setBlocked", arena.keeper, True),
            "drained": ("drain", arena.market.deployed.engine),
        }
        mood(arena, *turns[what])
        async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url, live=True)) as keeper:
            for _ in range(24):
                await keeper.handled((await prices(arena, LOW)).number)
            quarantined = keeper.of(ASSET_QUARANTINED)
            assert {event.fields["subject"] for event in quarantined} == {"seize WETH"}
            failed = [e for e in keeper.of(PLAN_REJECTED) if e.fields["reason"] == "simulation_failed"]
            closed = range(quarantined[0].block + 1, quarantined[0].fields["until_block"])
            assert not [event for event in failed if event.block in closed], "it is not even simulated"
            assert any("quarantined: " in event.message for event in keeper.of(PLAN_REJECTED))
            assert made(keeper, "seize", "WETH") == 0
            assert made(keeper, "seize", "WBTC") > 0, "others go on"
            assert not keeper.of(TX_REVERTED)
            await assert_invariants(arena, [proxy], [keeper])


async def test_f44_a_fee_on_transfers_is_booked_as_it_was_and_quarantined_at_once(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        mood(arena, "setFee", 100)
        async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url, live=True)) as keeper:
            for _ in range(16):
                await keeper.handled((await prices(arena, LOW)).number)
            first = keeper.of(ASSET_QUARANTINED)[0]
            assert first.fields["subject"] == "seize WETH"
            assert "instead of" in first.fields["reason"]
            later = [e for e in keeper.of(PLAN_MADE) if e.block in range(first.block, first.fields["until_block"])]
            assert not [event for event in later if event.fields["subject"] == "WETH"]
            assert [event for event in keeper.of(TX_MINED) if event.block > first.block], "others go on"
            await assert_invariants(arena, [proxy], [keeper])
