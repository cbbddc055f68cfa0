"""What chance decides in the demo, and what it may not."""

from collections.abc import Iterator
from itertools import pairwise
from math import log

import pytest

from keeper.model.health import WAD
from keeper.sim.markets.margin_engine.listing import DEMO
from keeper.sim.scenario import Scenario, build_scenario, maintenance

SPECS = {spec.symbol: spec for spec in DEMO.markets}
WEIGHTS = {spec.symbol: spec.weight / WAD for spec in DEMO.collaterals} | {DEMO.settlement: 1.0}
FEEDS = {spec.symbol: spec.feed for spec in DEMO.collaterals}
DECIMALS = {spec.symbol: spec.decimals for spec in DEMO.collaterals} | {DEMO.settlement: DEMO.settlement_decimals}


@pytest.fixture(scope="module", params=[1, 2, 77])
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return build_scenario(request.param, 300, 60)


def notionals(scenario: Scenario) -> Iterator[tuple[str, float]]:
    for opening in scenario.openings:
        for symbol, size in opening.trades:
            yield symbol, size / WAD * DEMO.feeds[SPECS[symbol].feed][1]


def test_the_same_seed_makes_the_same_scenario() -> None:
    assert build_scenario(5, 40, 30) == build_scenario(5, 40, 30)
    assert build_scenario(5, 40, 30) != build_scenario(6, 40, 30)


def test_more_accounts_leave_the_path_of_prices_as_it_is() -> None:
    assert build_scenario(5, 40, 30).steps == build_scenario(5, 80, 30).steps


def test_every_account_has_its_own_address_a_deposit_and_a_position(scenario: Scenario) -> None:
    assert len({opening.account for opening in scenario.openings}) == 300
    for opening in scenario.openings:
        assert opening.trades
        assert all(units > 0 for _, units in opening.deposits)


def test_every_account_meets_its_initial_margin(scenario: Scenario) -> None:
    for opening in scenario.openings:
        equity = sum(
            units / 10 ** DECIMALS[symbol] * (DEMO.feeds[FEEDS[symbol]][1] if symbol in FEEDS else 1) * WEIGHTS[symbol]
            for symbol, units in opening.deposits
        )
        held = [(SPECS[symbol], abs(size) / WAD * DEMO.feeds[SPECS[symbol].feed][1]) for symbol, size in opening.trades]
        fees = sum(notional * spec.trading_fee / WAD for spec, notional in held)
        initial = sum(maintenance(spec, notional) * spec.initial_factor / WAD for spec, notional in held)
        assert equity - fees >= initial


def test_sizes_are_multiples_of_the_step(scenario: Scenario) -> None:
    assert all(size % SPECS[symbol].step == 0 for opening in scenario.openings for symbol, size in opening.trades)


def test_collaterals_of_6_8_and_18_decimals_are_mixed(scenario: Scenario) -> None:
    used = [frozenset(symbol for symbol, _ in opening.deposits) for opening in scenario.openings]
    assert {DECIMALS[symbol] for mix in used for symbol in mix} == {6, 8, 18}
    assert {len(mix) for mix in used} == {1, 2, 3}


def test_longs_outnumber_shorts_and_accounts_hold_one_to_three_markets(scenario: Scenario) -> None:
    sizes = [notional for _, notional in notionals(scenario)]
    longs = sum(notional > 0 for notional in sizes)
    assert 0.6 * len(sizes) < longs < 0.9 * len(sizes)
    assert {len(opening.trades) for opening in scenario.openings} == {1, 2, 3}


def test_whales_reach_the_upper_brackets_of_every_market(scenario: Scenario) -> None:
    for symbol, spec in SPECS.items():
        assert max(abs(notional) for name, notional in notionals(scenario) if name == symbol) > spec.tiers[2][0]


def test_the_maintenance_margin_is_continuous_at_the_brackets() -> None:
    for spec in DEMO.markets:
        for floor, _ in spec.tiers[1:]:
            assert maintenance(spec, floor) == pytest.approx(maintenance(spec, floor - 1e-6), abs=1e-3)


def test_the_market_falls_by_about_a_fifth_with_jumps_and_recovers_a_little(scenario: Scenario) -> None:
    path = [step.prices["ETH"] for step in scenario.steps]
    lowest = min(path) / DEMO.feeds["ETH"][1]
    assert 0.74 < lowest < 0.86
    assert path[-1] > min(path)
    returns = [log(after / before) for before, after in pairwise(path)]
    assert sum(change < -0.02 for change in returns) >= 3
    assert len(scenario.steps) == 60


def test_prices_stand_still_between_two_reports_of_the_feeds(scenario: Scenario) -> None:
    changed = [before.prices != after.prices for before, after in pairwise(scenario.steps)]
    assert changed == [bool(index % 2) for index in range(59)]


@pytest.mark.parametrize("blocks", [20, 60, 120])
def test_a_longer_path_falls_no_faster(blocks: int) -> None:
    path = [step.prices["ETH"] for step in build_scenario(1, 10, blocks).steps]
    returns = sorted(log(after / before) for before, after in pairwise(path))
    assert returns[0] > -0.05
    assert returns[len(returns) // 20 + 3] > -0.025


def test_a_larger_market_has_larger_caps_and_the_same_rates() -> None:
    larger = DEMO.scaled(3.0)
    for spec, more in zip(DEMO.markets, larger.markets, strict=True):
        assert more.block_cap == 3 * spec.block_cap
        assert more.max_open_interest == pytest.approx(3 * spec.max_open_interest)
        assert (more.tiers, more.step, more.min_notional) == (spec.tiers, spec.step, spec.min_notional)


def test_the_penalty_is_at_most_half_of_the_lowest_maintenance_rate() -> None:
    for spec in DEMO.markets:
        assert spec.penalty * 2 <= spec.brackets()[0][1]


def test_blocks_fill_up_while_the_market_falls(scenario: Scenario) -> None:
    demand = {phase: [step.demand for step in scenario.steps if step.phase == phase] for phase in ("calm", "crash")}
    assert min(demand["crash"]) > max(demand["calm"])
    assert max(demand["crash"]) == 1.0


def test_the_aftermath_falls_on_from_where_the_path_ended(scenario: Scenario) -> None:
    assert 0.80 < scenario.aftermath[-1].prices["ETH"] / scenario.steps[-1].prices["ETH"] < 0.95


@pytest.mark.parametrize("blocks", [20, 21, 37, 200])
def test_a_path_has_as_many_blocks_as_asked_for(blocks: int) -> None:
    assert len(build_scenario(1, 10, blocks).steps) == blocks
