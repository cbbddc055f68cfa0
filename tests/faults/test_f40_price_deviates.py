"""F40: a feed differs from its reference, or sits at its bound: its accounts are held or followed, by policy."""

from pathlib import Path

import pytest

from keeper.abi import checksum
from keeper.model.events import PLAN_MADE, PLAN_REJECTED, PRICE_HELD, PRICE_RELEASED, TX_MINED, TX_SENT, Level
from keeper.model.health import WAD
from keeper.sim.arena import Running, arena_node, running
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.weather import become, deploy, prices, set_feed, step_until

WRONG, RIGHT = 1_500.0, 3_000.0  # ETH


def held(keeper: Running) -> set[str]:
    return {
        event.fields["account"]
        for event in keeper.of(PLAN_REJECTED)
        if event.fields["reason"] == "hold" and "price of" in event.message
    }


def depends_on_eth(arena: harsh.EngineArena) -> set[str]:
    """Accounts that were opened with ETH in them."""
    return {
        checksum(opening.account)
        for opening in arena.scenario.openings
        if any(symbol == "WETH" for symbol, _ in opening.deposits) or any(name == "ETH" for name, _ in opening.trades)
    }


async def test_f40_only_the_deviating_assets_accounts_are_held_with_both_prices_told(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        reference = deploy(arena, "SettableFeed", ["uint8", "int256"], [8, int(RIGHT * 10**8)])
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url, live=True, reference_feeds={"ETH": checksum(reference)})
            async with running(settings) as keeper:
                for _ in range(3):
                    await keeper.handled((await arena.quiet()).number)
                calls = len(proxy.calls("eth_call"))
                wrong = {"ETH": WRONG, "BTC": 40_000.0, "SOL": 90.0}
                await keeper.handled((await prices(arena, wrong)).number)
                assert len(proxy.calls("eth_call")) - calls < 60
                [told] = keeper.of(PRICE_HELD)
                assert told.kind.level is Level.CRITICAL
                assert (told.fields["price"], told.fields["reference"]) == (str(1_500 * WAD), str(3_000 * WAD))
                assert (told.fields["problem"], told.fields["policy"]) == ("deviates", "hold")
                for _ in range(3):
                    await keeper.handled((await prices(arena, wrong)).number)
                touched = {event.fields["account"] for event in keeper.of(TX_SENT)}
                assert held(keeper)
                assert held(keeper) <= depends_on_eth(arena)
                assert touched, "others go on"
                assert not touched & depends_on_eth(arena)
                set_feed(arena, reference, WRONG)  # the world agrees: it was no error
                await step_until(
                    arena,
                    keeper,
                    lambda: bool({event.fields["account"] for event in keeper.of(TX_MINED)} & held(keeper)),
                    lambda: prices(arena, wrong),
                )
                assert [event.fields["label"] for event in keeper.of(PRICE_RELEASED)] == ["ETH"]
                await assert_invariants(arena, [proxy], [keeper])


async def test_f40_follow_acts_on_what_pays_at_the_reference_price_too(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        reference = deploy(arena, "SettableFeed", ["uint8", "int256"], [8, int(RIGHT * 10**8)])
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(
                proxy.url, live=True, reference_feeds={"ETH": checksum(reference)}, deviation_policy="follow"
            )
            async with running(settings) as keeper:
                for _ in range(3):
                    await keeper.handled((await arena.quiet()).number)
                for _ in range(4):
                    await keeper.handled((await prices(arena, {"ETH": WRONG})).number)
                assert keeper.of(PRICE_HELD)[0].fields["policy"] == "follow"
                assert {event.fields["account"] for event in keeper.of(TX_MINED)} & depends_on_eth(arena)
                assert not held(keeper)
                await assert_invariants(arena, [proxy], [keeper])


@pytest.mark.parametrize(("least", "most", "problem"), [(1_500, 9_999, "at_minimum"), (1, 1_500, "at_maximum")])
async def test_f40_an_answer_at_its_feeds_bound_is_held(tmp_path: Path, least: int, most: int, problem: str) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        bounds = [least * 10**8, most * 10**8]
        become(
            arena,
            arena.market.deployed.feeds["ETH"],
            "BoundedFeed",
            ["uint8", "int256", "int192", "int192"],
            [8, 1, *bounds],
        )
        async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url, live=True)) as keeper:
            for _ in range(4):
                await keeper.handled((await prices(arena, {"ETH": 3_000.0 if least > 1 else 1_400.0})).number)
            before = len(keeper.of(TX_SENT))
            for _ in range(3):
                await keeper.handled((await prices(arena, {"ETH": WRONG})).number)
            assert [event.fields["problem"] for event in keeper.of(PRICE_HELD)] == [problem]
            touched = {event.fields["account"] for event in keeper.of(TX_SENT)[before:]}
            assert held(keeper) or problem == "at_maximum"
            assert not touched & held(keeper)
            await assert_invariants(arena, [proxy], [keeper])


async def test_f40_follow_buys_no_collateral_that_is_worth_less_elsewhere(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        reference = deploy(arena, "SettableFeed", ["uint8", "int256"], [8, 100 * 10**8])
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(
                proxy.url, live=True, reference_feeds={"ETH": checksum(reference)}, deviation_policy="follow"
            )
            async with running(settings) as keeper:
                for _ in range(12):
                    await keeper.handled((await prices(arena, {"ETH": WRONG})).number)
                made = {(event.fields["kind"], event.fields["subject"]) for event in keeper.of(PLAN_MADE)}
                assert ("liquidate", "ETH") in made
                assert ("seize", "WETH") not in made
                assert any("is unprofitable at the reference" in event.message for event in keeper.of(PLAN_REJECTED))
                await assert_invariants(arena, [proxy], [keeper])
