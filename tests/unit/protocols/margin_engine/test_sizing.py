"""Sizing without a chain: the published numbers of the closed forms, and every rule that clips a size."""

from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from keeper.defi.sizing import smallest
from keeper.model.health import WAD
from keeper.protocols.margin_engine.bad_debt import shortfall
from keeper.protocols.margin_engine.health import equity_requirement
from keeper.protocols.margin_engine.simulate import Closing
from keeper.protocols.margin_engine.sizing import Sized, choose
from keeper.protocols.margin_engine.state import EngineHoldings, EngineMarket, EnginePosition, EngineState
from tests.support.engine_state import NOW, liquidated, market, readings, state

TARGET = 11 * WAD // 10


def long(notional: int, equity: int) -> EngineHoldings:
    """A long of market 0 at 1,000 dollars whose account has this equity, both in dollars."""
    size = notional * WAD // 1_000
    return EngineHoldings(equity * WAD, (), ((0, EnginePosition(size, notional * WAD, 0)),))


def sized(engine: EngineState, holdings: EngineHoldings, target: int = TARGET, available: int | None = None) -> Sized:
    found = choose(Closing.of(engine, readings(), holdings, 0, NOW), target, available)
    assert found is not None
    return found


@pytest.mark.parametrize(("target_pct", "dollars"), [(100, 2_500), (110, "4444.444"), (125, "6666.667")])
def test_one_bracket_gives_the_closed_form_rounded_up_to_a_step(target_pct: int, dollars: int | str) -> None:
    # Equity 900, requirement 1,000, rate 5 %, penalty 1 %.
    engine = state(market(step=1))
    holdings = long(20_000, 900)
    outcome = sized(engine, holdings, target_pct * WAD // 100).outcome
    exact = Fraction(target_pct * 1000 - 90_000, 100) / (Fraction(target_pct, 2_000) - Fraction(1, 100))
    assert float(exact) == pytest.approx(float(dollars), abs=1e-3)
    assert outcome.size == pytest.approx(exact * WAD / 1_000, abs=10)


TIERS = ((0, 4 * 10**15), (50_000, 5 * 10**15), (600_000, 65 * 10**14), (3_000_000, 10**16), (12_000_000, 2 * 10**16))


@pytest.mark.parametrize(
    ("equity", "penalty", "target_pct", "dollars"), [(18_000, 5, 110, 791_729.32), (20_000, 10, 105, 387_105.26)]
)
def test_a_size_that_falls_into_a_lower_bracket_counts_what_that_bracket_frees(
    equity: int, penalty: int, target_pct: int, dollars: float
) -> None:
    engine = state(market(tiers=TIERS, penalty=penalty * WAD // 10_000, step=WAD // 10**6, block_cap=10**9))
    outcome = sized(engine, long(3_400_000, equity), target_pct * WAD // 100).outcome
    assert outcome.notional / WAD == pytest.approx(dollars, abs=0.01)


def test_a_size_above_half_is_clipped_to_half_while_equity_covers_half_the_requirement() -> None:
    engine = state(market())
    found = sized(engine, long(20_000, 600))
    assert (found.outcome.size, found.limit) == (10 * WAD, "close_factor")


def test_a_deep_account_may_be_closed_beyond_half() -> None:
    engine = state(market())
    found = sized(engine, long(20_000, 450))
    assert found.limit == "target"
    assert found.outcome.size > 10 * WAD


def test_an_account_beyond_rescue_is_closed_whole() -> None:
    engine = state(market())
    found = sized(engine, long(20_000, -500))
    assert (found.outcome.size, found.limit) == (20 * WAD, "full")
    assert found.outcome.bad_debt == 500 * WAD + found.outcome.penalty
    assert found.outcome.state.insurance_fund == 10**6 * WAD - found.outcome.bad_debt


def test_the_blocks_cap_clips_to_whole_steps() -> None:
    engine = state(market(step=WAD))
    found = sized(engine, long(20_000, 900), available=3_999 * WAD)
    assert (found.outcome.size, found.limit) == (3 * WAD, "block_cap")


def test_nothing_is_legal_when_the_blocks_cap_is_used_up() -> None:
    engine = state(market(step=WAD))
    assert choose(Closing.of(engine, readings(), long(20_000, 900), 0, NOW), TARGET, 999 * WAD) is None


def test_a_rest_below_the_smallest_position_is_left_at_that_position_or_closed_whole() -> None:
    engine = state(market(min_notional=9_000))
    capped = sized(engine, long(20_000, 300), available=19_999 * WAD)
    assert (capped.outcome.size, capped.limit) == (11 * WAD, "dust")
    small = sized(engine, long(17_000, 500))
    assert (small.outcome.size, small.limit) == (17 * WAD, "full")


def test_a_position_of_one_step_is_closed_whole_whatever_the_health_after() -> None:
    engine = state(market(step=20 * WAD))
    found = sized(engine, long(20_000, 900))
    assert found.outcome.size == 20 * WAD


def test_a_target_above_the_protocols_highest_health_is_clipped_to_it() -> None:
    engine = state(market())
    found = sized(engine, long(20_000, 900), 2 * WAD)
    assert found.limit == "post_health"
    outcome = found.outcome
    assert outcome.equity * WAD <= outcome.requirement * engine.max_post_health
    more = liquidated(engine, long(20_000, 900), 0, outcome.size + WAD // 1_000)
    assert more.equity * WAD > more.requirement * engine.max_post_health


def test_the_insurance_funds_part_of_a_penalty_is_waived_where_equity_does_not_cover_it() -> None:
    engine = state(market())
    outcome = liquidated(engine, long(20_000, 150), 0, 20 * WAD)
    assert (outcome.penalty, outcome.reward) == (150 * WAD, 100 * 10**6)
    below = liquidated(engine, long(20_000, 50), 0, 20 * WAD)
    assert (below.penalty, below.reward, below.bad_debt) == (100 * WAD, 100 * 10**6, 50 * WAD)


@given(st.integers(1, 1_000), st.integers(-5, 1_005), st.integers(-5, 1_005))
def test_the_search_finds_the_first_from_any_guess(last: int, first: int, guess: int) -> None:
    expected = max(first, 1) if first <= last else None
    assert smallest(lambda n: n >= first, guess, last) == expected


def test_a_good_guess_costs_two_evaluations() -> None:
    asked: list[int] = []

    def holds(n: int) -> bool:
        asked.append(n)
        return n >= 700_001

    assert smallest(holds, 700_001, 10**9) == 700_001
    assert asked == [700_001, 700_000]


MARKETS = st.lists(st.tuples(st.integers(10, 5_000_000), st.booleans(), st.integers(-100, 100)), min_size=1, max_size=3)


@settings(max_examples=200, deadline=None)
@given(MARKETS, st.integers(-20, 99), st.integers(100, 160), st.sampled_from((1, WAD // 1_000, WAD, 77 * WAD)))
def test_a_size_decided_by_the_target_is_the_smallest_one(
    positions: list[tuple[int, bool, int]], health_pct: int, target_pct: int, step: int
) -> None:
    tiers = ((0, 25 * 10**15), (100_000, 4 * 10**16), (1_000_000, 10**17))
    markets: list[EngineMarket] = [market(id_, tiers, step=step) for id_ in range(len(positions))]
    engine = state(*markets)
    held = []
    for id_, (dollars, is_long, gain) in enumerate(positions):
        size = max(1, dollars * WAD // 1_000 // step) * step * (1 if is_long else -1)
        held.append((id_, EnginePosition(size, size * (1_000 + gain), 0)))
    flat = EngineHoldings(0, (), tuple(held))
    equity, requirement = equity_requirement(engine, readings(), flat, NOW)
    holdings = EngineHoldings(requirement * health_pct // 100 - equity, (), flat.positions)
    target = target_pct * WAD // 100
    for id_ in range(len(positions)):
        found = choose(Closing.of(engine, readings(), holdings, id_, NOW), target)
        if found is None or found.limit != "target":
            continue
        outcome = found.outcome
        assert outcome.equity * WAD >= outcome.requirement * target
        less = (outcome.size - 1) // step * step
        if less:
            short = liquidated(engine, holdings, id_, less)
            assert short.equity * WAD < short.requirement * target


@pytest.mark.parametrize(
    ("equity", "seconds", "basis_points"),
    [(0.005, 60, 0.0524), (0.005, 600, 8.32), (0.005, 3_600, 41.87), (0.01, 600, 1.756), (0.01, 3_600, 25.730)],
)
def test_expected_bad_debt_reproduces_the_published_puts(equity: float, seconds: int, basis_points: float) -> None:
    assert shortfall(equity, 1.0, 1.5, seconds) * 1e4 == pytest.approx(basis_points, rel=2e-3)


def test_expected_bad_debt_is_the_debt_itself_far_under_water_and_nothing_far_above() -> None:
    assert shortfall(-50_000.0, 100_000.0) == pytest.approx(50_000.0)
    assert shortfall(200_000.0, 100_000.0) == 0.0
    assert shortfall(-70.0, 0.0) == 70.0
