"""Ticks and square roots of prices, exactly as Uniswap v3's TickMath has them.

A sqrt price is Q64.96: the root of the price, units of token1 for a unit of token0, times 2^96. Tick i is 1.0001^i.
"""

import math
from decimal import Decimal, localcontext
from functools import lru_cache

from keeper.defi.fixed_point import UINT256_MAX
from keeper.errors import Refused
from keeper.model.refusal import RefusalCode

MIN_TICK, MAX_TICK = -887_272, 887_272
MIN_SQRT_PRICE = 4295128739  # at MIN_TICK
MAX_SQRT_PRICE = 1461446703485210103287273052203988822378723970342  # at MAX_TICK
Q96 = 2**96
_BASE = Decimal("1.0001")
_LOG_SQRT_BASE = math.log(1.0001) / 2


def _factors() -> tuple[int, ...]:
    """1.0001^(-2^i / 2) in Q128, to the nearest: the library's constants."""
    with localcontext(prec=100):
        return tuple(round(2**128 / _BASE.sqrt() ** 2**power) for power in range(MAX_TICK.bit_length()))


_FACTORS = _factors()


@lru_cache(maxsize=65_536)
def sqrt_price_at_tick(tick: int) -> int:
    """`TickMath.getSqrtRatioAtTick`. Raises Refused outside of MIN_TICK and MAX_TICK."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise Refused(RefusalCode.UNSUPPORTED, f"tick {tick} is beyond what a Uniswap pool allows")
    ratio, left = 2**128, abs(tick)
    for factor in _FACTORS:
        if left & 1:
            ratio = ratio * factor >> 128
        left >>= 1
    if tick > 0:
        ratio = UINT256_MAX // ratio
    return -(-ratio >> 32)


def tick_at_sqrt_price(sqrt_price: int) -> int:
    """The greatest tick whose sqrt price is not above (`TickMath.getTickAtSqrtRatio`).

    Raises Refused outside of [MIN_SQRT_PRICE, MAX_SQRT_PRICE).
    """
    if not MIN_SQRT_PRICE <= sqrt_price < MAX_SQRT_PRICE:
        raise Refused(RefusalCode.UNSUPPORTED, f"sqrt price {sqrt_price} is beyond what a Uniswap pool allows")
    tick = round(math.log(sqrt_price / Q96) / _LOG_SQRT_BASE)  # off by less than one, whatever the platform's log
    while tick > MIN_TICK and sqrt_price_at_tick(tick) > sqrt_price:
        tick -= 1
    while sqrt_price_at_tick(tick + 1) <= sqrt_price:
        tick += 1
    return tick
