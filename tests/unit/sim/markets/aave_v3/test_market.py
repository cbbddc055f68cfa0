"""What chance decides in the demo of Aave v3, and what it may not."""

from itertools import pairwise

import pytest

from keeper.errors import OperatorError
from keeper.sim.market import market_factory_of
from keeper.sim.markets.aave_v3 import DEMO, ETH_MODE, STABLE, USD_MODE, V3_0_2, V3_6
from keeper.sim.markets.aave_v3.market import scenario
from keeper.sim.scenario import Scenario


@pytest.fixture(scope="module", params=[1, 2, 77])
def played(request: pytest.FixtureRequest) -> Scenario:
    return scenario(request.param, 300, 60)


def test_the_same_seed_makes_the_same_scenario() -> None:
    assert scenario(5, 40, 30) == scenario(5, 40, 30)
    assert scenario(5, 40, 30) != scenario(6, 40, 30)


def test_more_accounts_leave_the_path_and_those_before_as_they_are() -> None:
    few, many = scenario(5, 40, 30), scenario(5, 80, 30)
    assert few.steps == many.steps
    assert few.openings == many.openings[:40]


def test_every_rule_that_tells_accounts_apart_has_some(played: Scenario) -> None:
    collaterals = {symbol for opening in played.openings for symbol, _ in opening.supplies}
    debts = {symbol for opening in played.openings for symbol, *_ in opening.borrows}
    assert collaterals == {spec.symbol for spec in DEMO.reserves if spec.threshold}
    assert debts >= {"USDC", "DAI", "WETH", "WBTC", "sUSD"}
    assert {opening.emode for opening in played.openings} == {0, ETH_MODE, USD_MODE}
    assert len({opening.account for opening in played.openings}) == 300


def test_an_isolated_or_siloed_asset_stands_alone(played: Scenario) -> None:
    for opening in played.openings:
        supplied, owed = [symbol for symbol, _ in opening.supplies], [symbol for symbol, *_ in opening.borrows]
        assert "LINK" not in supplied or (supplied == ["LINK"] and set(owed) <= {"USDC", "DAI"})
        assert "sUSD" not in owed or owed == ["sUSD"]


def test_only_3_0_2_has_debts_at_stable_rates() -> None:
    modes = {
        version: {mode for opening in scenario(1, 300, 30, version).openings for *_, mode in opening.borrows}
        for version in (V3_0_2, V3_6)
    }
    assert STABLE in modes[V3_0_2]
    assert STABLE not in modes[V3_6]


def test_coins_fall_and_what_is_at_par_slips_and_comes_back(played: Scenario) -> None:
    first, last = played.steps[0].prices, played.steps[-1].prices
    assert last["ETH"] < 0.8 * first["ETH"]
    assert min(step.prices["DAI"] for step in played.steps) < 0.97
    assert last["DAI"] > 0.98
    assert {step.prices["USDC"] for step in played.steps} == {1.0}
    assert all(step.prices["ETH"] < last["ETH"] for step in played.aftermath)


def test_no_report_moves_a_price_by_more_than_a_tenth(played: Scenario) -> None:
    for before, after in pairwise(played.steps):
        assert all(abs(after.prices[label] / price - 1) < 0.1 for label, price in before.prices.items())


@pytest.mark.parametrize("protocol", ["aave_v3", "aave_v3@3.0.2", "curie", "margin_engine"])
def test_a_demo_is_found_by_protocol_and_release(protocol: str) -> None:
    assert len(market_factory_of(protocol).scenario(1, 12, 20).openings) == 12


@pytest.mark.parametrize("protocol", ["compound", "aave_v3@2", "margin_engine@2"])
def test_what_has_no_demo_is_refused_by_name(protocol: str) -> None:
    with pytest.raises(OperatorError, match=f"--protocol {protocol}"):
        market_factory_of(protocol)
