"""Integer arithmetic as contracts do it: products and quotients with a named rounding, wads, rays and basis points.

Numbers are unsigned unless said otherwise. Python does not overflow: where a contract would, the caller checks.
"""

from enum import Enum

WAD = 10**18
RAY = 10**27
PERCENT = 10_000  # basis points of one
UINT160_MAX = 2**160 - 1
UINT256_MAX = 2**256 - 1


class Rounding(Enum):
    """How a quotient is rounded: down to zero, up, or to the nearest with halves up."""

    DOWN = "down"
    UP = "up"
    HALF_UP = "half up"


def truncated_div(numerator: int, denominator: int) -> int:
    """Solidity's signed `/`: to zero, where Python's `//` goes to minus infinity. Raises ZeroDivisionError."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def div(numerator: int, denominator: int, rounding: Rounding = Rounding.DOWN) -> int:
    """A quotient of unsigned numbers. Raises ZeroDivisionError."""
    if rounding is Rounding.UP:
        return -(-numerator // denominator)
    if rounding is Rounding.HALF_UP:
        return (numerator + denominator // 2) // denominator
    return numerator // denominator


def mul_div(a: int, b: int, denominator: int, rounding: Rounding = Rounding.DOWN) -> int:
    """a * b / denominator of unsigned numbers in full precision (Uniswap's FullMath, OpenZeppelin's Math.mulDiv)."""
    return div(a * b, denominator, rounding)


def mul_div_ceil(a: int, b: int, denominator: int) -> int:
    return mul_div(a, b, denominator, Rounding.UP)


# Aave's WadRayMath. Version 3.0.2 rounds everything half up; 3.6 adds the variants that say where they round to.


def wad_div(a: int, b: int) -> int:
    return mul_div(a, WAD, b, Rounding.HALF_UP)


def ray_mul(a: int, b: int) -> int:
    return mul_div(a, b, RAY, Rounding.HALF_UP)


def ray_mul_floor(a: int, b: int) -> int:
    return mul_div(a, b, RAY)


def ray_mul_ceil(a: int, b: int) -> int:
    return mul_div(a, b, RAY, Rounding.UP)


def ray_div(a: int, b: int) -> int:
    return mul_div(a, RAY, b, Rounding.HALF_UP)


def ray_div_floor(a: int, b: int) -> int:
    return mul_div(a, RAY, b)


def ray_div_ceil(a: int, b: int) -> int:
    return mul_div(a, RAY, b, Rounding.UP)


# Aave's PercentageMath, in basis points.


def percent_mul(value: int, percentage: int) -> int:
    return mul_div(value, percentage, PERCENT, Rounding.HALF_UP)


def percent_mul_floor(value: int, percentage: int) -> int:
    return mul_div(value, percentage, PERCENT)


def percent_mul_ceil(value: int, percentage: int) -> int:
    return mul_div(value, percentage, PERCENT, Rounding.UP)


def percent_div(value: int, percentage: int) -> int:
    return mul_div(value, PERCENT, percentage, Rounding.HALF_UP)


def percent_div_ceil(value: int, percentage: int) -> int:
    return mul_div(value, PERCENT, percentage, Rounding.UP)
