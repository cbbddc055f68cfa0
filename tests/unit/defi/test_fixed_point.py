"""Integer arithmetic rounds where the contracts round."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, strategies as st

from keeper.defi import fixed_point as fp

WORDS = st.integers(0, 2**256 - 1)
DIVISORS = st.integers(1, 2**256 - 1)


@given(WORDS, WORDS, DIVISORS)
def test_products_are_rounded_as_asked(a: int, b: int, divisor: int) -> None:
    exact = Fraction(a * b, divisor)
    assert fp.mul_div(a, b, divisor) == floor(exact)
    assert fp.mul_div_ceil(a, b, divisor) == ceil(exact)
    assert fp.mul_div(a, b, divisor, fp.Rounding.HALF_UP) == floor(exact + Fraction(divisor // 2, divisor))


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [(7, 2, 3), (-7, 2, -3), (7, -2, -3), (-7, -2, 3)],
)
def test_signed_division_goes_to_zero(numerator: int, denominator: int, quotient: int) -> None:
    assert fp.truncated_div(numerator, denominator) == quotient


@pytest.mark.parametrize(
    ("half_up", "down", "up", "one"),
    [
        (fp.ray_mul, fp.ray_mul_floor, fp.ray_mul_ceil, fp.RAY),
        (fp.percent_mul, fp.percent_mul_floor, fp.percent_mul_ceil, fp.PERCENT),
    ],
)
def test_products_of_units_take_halves_up(half_up, down, up, one) -> None:
    assert (half_up(1, one // 2), down(1, one // 2), up(1, one // 2)) == (1, 0, 1)
    assert (half_up(1, one // 2 - 1), up(1, one // 2 - 1)) == (0, 1)
    assert half_up(3, one) == down(3, one) == up(3, one) == 3


@pytest.mark.parametrize(
    ("half_up", "down", "up", "one"),
    [
        (fp.ray_div, fp.ray_div_floor, fp.ray_div_ceil, fp.RAY),
    ],
)
def test_quotients_of_units_take_halves_up(half_up, down, up, one) -> None:
    assert (half_up(1, 3), down(1, 3), up(1, 3)) == ((one + 1) // 3, one // 3, one // 3 + 1)
    assert (half_up(1, 2 * one), down(1, 2 * one), up(1, 2 * one)) == (1, 0, 1)


def test_wads_take_halves_up() -> None:
    assert fp.wad_div(3, 2 * fp.WAD) == 2


def test_quotients_of_percents_take_halves_up_or_round_up() -> None:
    assert (fp.percent_div(1, 3), fp.percent_div_ceil(1, 3)) == (3_333, 3_334)
    assert (fp.percent_div(1, 2 * fp.PERCENT), fp.percent_div_ceil(1, 2 * fp.PERCENT)) == (1, 1)
