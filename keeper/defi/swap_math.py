"""Amounts for a move of the price, and the price after an amount: Uniswap v3's SqrtPriceMath and SwapMath, to the
unit. Within one range of constant liquidity; sqrt prices are Q64.96, fees are in
millionths.
"""

from dataclasses import dataclass

from keeper.defi.fixed_point import UINT160_MAX, UINT256_MAX, Rounding, div, mul_div, mul_div_ceil
from keeper.defi.tick_math import Q96
from keeper.errors import Refused
from keeper.model.refusal import RefusalCode

FEE_UNIT = 1_000_000


def amount0_between(a: int, b: int, liquidity: int, rounding: Rounding = Rounding.DOWN) -> int:
    """token0 between two sqrt prices (`SqrtPriceMath.getAmount0Delta`). Input is rounded up, output down."""
    low, high = sorted((a, b))
    return div(mul_div(liquidity << 96, high - low, high, rounding), low, rounding)


def amount1_between(a: int, b: int, liquidity: int, rounding: Rounding = Rounding.DOWN) -> int:
    """token1 between two sqrt prices (`SqrtPriceMath.getAmount1Delta`)."""
    return mul_div(liquidity, abs(b - a), Q96, rounding)


def price_after_input(sqrt_price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    """The sqrt price once `amount` came in, fees deducted (`SqrtPriceMath.getNextSqrtPriceFromInput`).

    Raises Refused where the contract reverts: no liquidity, or a price that does not fit.
    """
    if not liquidity:
        raise Refused(RefusalCode.UNSUPPORTED, "the Uniswap pool has no liquidity at its price")
    if zero_for_one:
        return _after_token0_in(sqrt_price, liquidity, amount)
    return _fitting(sqrt_price + (amount << 96) // liquidity)


def price_after_output(sqrt_price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    """The sqrt price once `amount` went out (`SqrtPriceMath.getNextSqrtPriceFromOutput`).

    Raises Refused where the contract reverts: more than there is.
    """
    if not liquidity:
        raise Refused(RefusalCode.UNSUPPORTED, "the Uniswap pool has no liquidity at its price")
    if zero_for_one:
        quotient = div(amount << 96, liquidity, Rounding.UP)
        if sqrt_price <= quotient:
            raise Refused(RefusalCode.UNSUPPORTED, "the Uniswap pool has too little liquidity for the swap")
        return sqrt_price - quotient
    held, product = liquidity << 96, amount * sqrt_price
    if product > UINT256_MAX or held <= product:
        raise Refused(RefusalCode.UNSUPPORTED, "the Uniswap pool has too little liquidity for the swap")
    return _fitting(mul_div_ceil(held, sqrt_price, held - product))


def _after_token0_in(sqrt_price: int, liquidity: int, amount: int) -> int:
    if not amount:
        return sqrt_price
    held, product = liquidity << 96, amount * sqrt_price
    if held + product <= UINT256_MAX:
        return mul_div_ceil(held, sqrt_price, held + product)
    return div(held, held // sqrt_price + amount, Rounding.UP)  # what the contract does where the product overflows


def _fitting(sqrt_price: int) -> int:
    if sqrt_price > UINT160_MAX:
        raise Refused(RefusalCode.UNSUPPORTED, "the swap would move the price beyond what a Uniswap pool allows")
    return sqrt_price


@dataclass(frozen=True, slots=True)
class Step:
    """A swap within one range: the price it comes to, and units. The fee is paid on top of `amount_in`."""

    sqrt_price: int
    amount_in: int
    amount_out: int
    fee: int


def swap_step(sqrt_price: int, target: int, liquidity: int, remaining: int, fee: int) -> Step:
    """As far as `remaining` goes towards `target` (`SwapMath.computeSwapStep`): input left when positive, output wanted
    when negative.
    """
    down = sqrt_price >= target
    if remaining >= 0:
        return _step_in(sqrt_price, target, liquidity, remaining, fee, down)
    return _step_out(sqrt_price, target, liquidity, -remaining, fee, down)


def _step_in(sqrt_price: int, target: int, liquidity: int, remaining: int, fee: int, down: bool) -> Step:
    usable = mul_div(remaining, FEE_UNIT - fee, FEE_UNIT)
    amount_in = _amount_in(target, sqrt_price, liquidity, down)
    if usable >= amount_in:
        amount_out = _amount_out(target, sqrt_price, liquidity, down)
        return Step(target, amount_in, amount_out, mul_div_ceil(amount_in, fee, FEE_UNIT - fee))
    after = price_after_input(sqrt_price, liquidity, usable, down)
    amount_in = _amount_in(after, sqrt_price, liquidity, down)
    # By rounding it may get there with less than it takes.
    paid = remaining - amount_in if after != target else mul_div_ceil(amount_in, fee, FEE_UNIT - fee)
    return Step(after, amount_in, _amount_out(after, sqrt_price, liquidity, down), paid)


def _step_out(sqrt_price: int, target: int, liquidity: int, wanted: int, fee: int, down: bool) -> Step:
    amount_out = _amount_out(target, sqrt_price, liquidity, down)
    after = target if wanted >= amount_out else price_after_output(sqrt_price, liquidity, wanted, down)
    if after != target:
        amount_out = _amount_out(after, sqrt_price, liquidity, down)
    amount_in = _amount_in(after, sqrt_price, liquidity, down)
    return Step(after, amount_in, min(amount_out, wanted), mul_div_ceil(amount_in, fee, FEE_UNIT - fee))


def _amount_in(to: int, sqrt_price: int, liquidity: int, down: bool) -> int:
    between = amount0_between if down else amount1_between
    return between(to, sqrt_price, liquidity, Rounding.UP)


def _amount_out(to: int, sqrt_price: int, liquidity: int, down: bool) -> int:
    between = amount1_between if down else amount0_between
    return between(to, sqrt_price, liquidity)


# Positions.


def amounts_for_liquidity(
    sqrt_price: int, lower: int, upper: int, liquidity: int, rounding: Rounding
) -> tuple[int, int]:
    """(token0, token1) of a position between two sqrt prices: rounded up when minted, down when burned."""
    middle = min(max(sqrt_price, lower), upper)
    return amount0_between(middle, upper, liquidity, rounding), amount1_between(lower, middle, liquidity, rounding)
