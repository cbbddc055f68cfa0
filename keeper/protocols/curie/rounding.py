"""Divisions as PerpMath and SettlementTokenMath have them: to zero, or for settlement tokens down."""

from keeper.defi.fixed_point import WAD, truncated_div
from keeper.defi.tick_math import Q96

RATIO = 1_000_000


def mul_div(a: int, b: int, denominator: int) -> int:
    """Signed `PerpMath.mulDiv`: towards zero."""
    return truncated_div(a * b, denominator)


def mul_ratio(value: int, ratio: int) -> int:
    """A share in millionths, towards zero."""
    return truncated_div(value * ratio, RATIO)


def div_ratio(value: int, ratio: int) -> int:
    return value * RATIO // ratio


def price_of_sqrt(sqrt_price: int) -> int:
    """X96 price of an X96 root (`formatSqrtPriceX96ToPriceX96`)."""
    return sqrt_price * sqrt_price // Q96


def wad_of_x96(value: int) -> int:
    return value * WAD // Q96


def x96_of_wad(value: int) -> int:
    return value * Q96 // WAD
