"""Mean prices over time: rounding, prices of ticks, and what is not known. Real pools are asked in tests/property."""

import pytest
from hypothesis import given, strategies as st

from keeper.defi.tick_math import MAX_TICK, MIN_TICK, sqrt_price_at_tick, tick_at_sqrt_price
from keeper.defi.uniswap_oracle import Observation, Ring, mean_tick, tick_cumulative
from keeper.errors import Refused

# 100 seconds at tick -7, 30 at tick 5, then tick 2.
RING = Ring({0: Observation(1_000, 0), 1: Observation(1_100, -700), 2: Observation(1_130, -550)}, 2, 3, tick=2)


def test_cumulatives_are_read_between_and_after_observations() -> None:
    assert [tick_cumulative(RING, at) for at in (1_000, 1_001, 1_099, 1_100, 1_101, 1_130, 1_140)] == [
        0, -7, -693, -700, -695, -550, -530,
    ]  # fmt: skip


def test_means_are_rounded_as_their_reader_does() -> None:
    assert mean_tick(RING, 1_120, 60) == -3  # (-600 + 420) / 60 is whole
    assert (mean_tick(RING, 1_105, 10), mean_tick(RING, 1_105, 10, floored=False)) == (-1, -1)
    assert (mean_tick(RING, 1_106, 10), mean_tick(RING, 1_106, 10, floored=False)) == (0, 0)
    assert (mean_tick(RING, 1_105, 11), mean_tick(RING, 1_105, 11, floored=False)) == (-2, -1)


def test_what_is_too_old_or_was_not_read_is_refused() -> None:
    with pytest.raises(Refused, match="OLD") as refused:
        tick_cumulative(RING, 999)
    assert refused.value.code == "unpriced"
    partly = Ring({2: RING.observations[2]}, 2, 3, tick=2)
    assert tick_cumulative(partly, 1_131) == -548
    with pytest.raises(Refused, match="was not read"):
        tick_cumulative(partly, 1_120)


@given(st.integers(MIN_TICK, MAX_TICK - 1), st.floats(0, 1, exclude_max=True))
def test_a_price_within_a_tick_is_that_ticks(tick: int, share: float) -> None:
    low, high = sqrt_price_at_tick(tick), sqrt_price_at_tick(tick + 1)
    assert tick_at_sqrt_price(min(low + int((high - low) * share), high - 1)) == tick


@pytest.mark.parametrize("tick", [MIN_TICK - 1, MAX_TICK + 1])
def test_ticks_and_prices_that_no_pool_can_have_are_refused(tick: int) -> None:
    with pytest.raises(Refused):
        sqrt_price_at_tick(tick)
    with pytest.raises(Refused):
        tick_at_sqrt_price(4295128738 if tick < 0 else sqrt_price_at_tick(MAX_TICK))
