"""The contract's arithmetic, rounding by rounding. Pure: each function names the Solidity it mirrors."""

from collections.abc import Callable
from dataclasses import dataclass

from keeper.defi.fixed_point import RAY, WAD, mul_div, mul_div_ceil
from keeper.errors import Refused
from keeper.model.health import Health, ratio_wad
from tiny_lend.state import Holdings, Readings, Terms

DEEP = 95 * WAD // 100


def price_at(terms: Terms, readings: Readings, timestamp: int) -> tuple[int, str]:
    """(price, problem at `timestamp`) as `TinyLend.price` judges it."""
    if readings.problem:
        return 0, readings.problem
    if readings.price <= 0:
        return readings.price, "negative" if readings.price < 0 else "zero"
    return readings.price, "stale" if readings.updated_at + terms.heartbeat < timestamp else ""


def usable_price(terms: Terms, readings: Readings, timestamp: int) -> int:
    """Raises Refused("unpriced") where the contract would revert."""
    price, problem = price_at(terms, readings, timestamp)
    if problem:
        raise Refused("unpriced", f"the feed of {terms.collateral.symbol} is {problem}")
    return price


def index_at(readings: Readings, timestamp: int) -> int:
    """`TinyLend._index` in a block of this time."""
    return readings.index + mul_div(readings.index, readings.rate * (timestamp - readings.index_time), RAY)


def capacity_of(terms: Terms, collateral: int, price: int) -> int:
    """First value of `TinyLend.health`: floored twice, as there."""
    return mul_div(mul_div(collateral * terms.collateral.scale, price, WAD), terms.threshold, WAD)


def health_of(terms: Terms, holdings: Holdings, index: int, price: int) -> Health:
    """`TinyLend.health`. Dollars in 1e18."""
    capacity = capacity_of(terms, holdings.collateral, price)
    owed = mul_div_ceil(holdings.shares, index, RAY) * terms.debt.scale
    views = {"capacity": capacity, "owed": owed}
    return Health(capacity, owed, owed > capacity, ratio_wad(capacity, owed), views)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a liquidation does: units of both tokens, and the debt that nobody pays."""

    repaid: int
    seized: int
    written_off: int
    left: Holdings


def liquidate(terms: Terms, held: Holdings, index: int, price: int, amount: int) -> Outcome:
    """`TinyLend.liquidate` of an account that may be liquidated."""
    whole = mul_div_ceil(held.shares, index, RAY)
    repaid = min(amount, most_of(terms, held, index, price))
    worth = price * terms.collateral.scale
    seized = repaid * terms.debt.scale * (WAD + terms.bonus) // worth
    if seized >= held.collateral:
        seized = held.collateral
        repaid = mul_div_ceil(held.collateral, worth, terms.debt.scale * (WAD + terms.bonus))
    shares = 0 if repaid == whole else held.shares - mul_div(repaid, RAY, index)
    if seized < held.collateral:
        return Outcome(repaid, seized, 0, Holdings(held.collateral - seized, shares))
    return Outcome(repaid, seized, mul_div_ceil(shares, index, RAY), Holdings(0, 0))


def most_of(terms: Terms, held: Holdings, index: int, price: int) -> int:
    """The close factor: half of the debt, all of it when health is below 0.95."""
    health = health_of(terms, held, index, price)
    whole = mul_div_ceil(held.shares, index, RAY)
    return whole if health.equity * WAD < health.requirement * DEEP else whole // 2


def smallest(holds: Callable[[int], bool], most: int) -> int:
    """The smallest of 1..most for which a condition holds that, once true, stays true; `most` when there is none."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
