"""Health of all accounts at once in float64, with a bound on its error."""

import numpy as np

from keeper.model.health import WAD
from keeper.protocols.base import Screen
from keeper.protocols.columns import Columns
from keeper.protocols.margin_engine.health import funding_index, rules_of
from keeper.protocols.margin_engine.prices import judge, last_price
from keeper.protocols.margin_engine.reads import EngineReadings
from keeper.protocols.margin_engine.state import BALANCES, POSITIONS, EngineState

_EPS = 2.0**-52
_UNIT = 1e-18
_OPERATIONS = 24
_ROUNDINGS = 64


def screen(state: EngineState, readings: EngineReadings, columns: Columns, timestamp: int) -> Screen:
    """Slack of all accounts, and a bound that its exact value never leaves.

    Bound. Let A be the sum of the absolute values of every term that enters an account's slack: `amount * factor`,
    `size * price`, `cost`, `size * index`, `size * funding`, and the largest `notional * rate` and `offset`. A value
    read from a column has a relative error of at most 2**-52; a price, factor, index, rate or offset, converted from
    an exact integer or ratio, 2**-53; each of the at most 8 products, differences and scalings on a term's way 2**-53
    more; the sum over the account's n rows (each of at most 6 terms) at most (n + 6) * 2**-53. The maintenance margin
    is max_k(n * r_k - c_k), because rates rise with the brackets: the maximum moves by no more than its largest
    argument does, so a wrongly chosen bracket adds nothing. Together less than (24 + n) * 2**-52 * A, to first order
    and with room for the second. To this comes an absolute part: 2**11 units of 1e-18 for each column value (a
    negative one passes through 2**64), times what it is multiplied by, and at most 64 units for what the contract's
    own rounding moves: floor and ceil of each product, times rates below 18.5, and one for each bracket's offset.
    """
    count = len(columns)
    balances = _EngineSums(count)
    _add_balances(state, readings, columns, balances)
    requirement = _add_positions(state, readings, columns, timestamp, balances)
    slack = balances.slack
    bound = (_OPERATIONS + balances.rows) * _EPS * balances.absolute + balances.units
    unpriced = balances.unpriced > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        health = np.where(requirement > 0, (slack + requirement) / requirement, np.inf)
    health[(requirement <= 0) & (slack < 0)] = -np.inf
    slack[unpriced] = np.inf
    health[unpriced] = np.inf
    bound[unpriced] = 0.0
    return Screen(slack=slack, bound=bound, health=health, active=balances.active > 0, unpriced=unpriced)


class _EngineSums:
    """Sums by account row."""

    def __init__(self, count: int) -> None:
        self.slack = np.zeros(count)
        self.absolute = np.zeros(count)
        self.units = np.zeros(count)
        self.rows = np.zeros(count)
        self.active = np.zeros(count)
        self.unpriced = np.zeros(count)

    def add(
        self,
        accounts: np.ndarray,
        slack: np.ndarray,
        absolute: np.ndarray,
        units: np.ndarray,
        held: np.ndarray,
        unpriced: np.ndarray,
    ) -> None:
        """Add one table's rows to their accounts."""
        count = len(self.slack)
        self.slack += np.bincount(accounts, slack, count)
        self.absolute += np.bincount(accounts, absolute, count)
        self.units += np.bincount(accounts, units, count)
        self.rows += np.bincount(accounts, minlength=count)
        self.active += np.bincount(accounts, held, count)
        self.unpriced += np.bincount(accounts, held & unpriced, count)


def _add_balances(state: EngineState, readings: EngineReadings, columns: Columns, sums: _EngineSums) -> None:
    table = columns[BALANCES]
    factor = np.zeros(max(1, len(state.collaterals)))
    factor[0] = _UNIT
    for collateral in state.collaterals[1:]:
        price = last_price(readings, collateral.source)
        factor[collateral.id] = collateral.scale * price * collateral.weight / 10**54
    assets = table.assets
    amounts = table.floats("amount")
    factors = factor[assets]
    values = amounts * factors
    units = np.full(len(amounts), _ROUNDINGS * _UNIT)
    unpriced = np.zeros(len(amounts), dtype=bool)
    sums.add(table.accounts, values, np.abs(values), units, amounts != 0, unpriced)


def _add_positions(
    state: EngineState, readings: EngineReadings, columns: Columns, timestamp: int, sums: _EngineSums
) -> np.ndarray:
    """Adds the positions to the sums; returns the requirement of each account."""
    table = columns[POSITIONS]
    price, index, rates, offsets, unpriced = _market_arrays(state, readings, timestamp)
    assets = table.assets
    size = table.floats("size") * _UNIT
    cost = table.floats("cost") * _UNIT
    funding = table.floats("funding") * _UNIT
    prices = price[assets]
    indices = index[assets]
    gross = np.abs(size)
    notional = gross * prices
    margin = np.zeros(len(size))
    for rate, offset in zip(rates, offsets, strict=True):
        np.maximum(margin, notional * rate[assets] - offset[assets], out=margin)
    top_rates, top_offsets = rates[-1][assets], offsets[-1][assets]
    held = size != 0
    margin[~held] = 0.0
    slack = size * prices - cost - size * (indices - funding) - margin
    reach = np.abs(indices) + np.abs(funding)
    absolute = notional * (1.0 + top_rates) + np.abs(cost) + gross * reach + np.where(held, top_offsets, 0.0)
    units = np.full(len(size), (_ROUNDINGS + len(rates)) * _UNIT)
    sums.add(table.accounts, slack, absolute, units, held, unpriced[assets])
    return np.bincount(table.accounts, margin, len(columns))


def _market_arrays(
    state: EngineState, readings: EngineReadings, timestamp: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(price, funding index, rates, offsets, unpriced) by market; rates and offsets by (bracket, market).

    A market with fewer brackets repeats its last one.
    """
    count = max(1, len(state.markets))
    deepest = max((len(market.brackets) for market in state.markets), default=1) or 1
    price, index = np.zeros(count), np.zeros(count)
    rates, offsets = np.zeros((deepest, count)), np.zeros((deepest, count))
    unpriced = np.zeros(count, dtype=bool)
    for market in state.markets:
        configured = market.rules is not None and len(market.brackets) > 0
        exact, problem = judge(readings, rules_of(market).source, timestamp) if configured else (0, "unreadable")
        unpriced[market.id] = bool(problem)
        if problem:
            continue
        price[market.id] = exact / WAD
        index[market.id] = funding_index(market, exact, timestamp) / WAD
        for k in range(deepest):
            tier = market.brackets[min(k, len(market.brackets) - 1)]
            rates[k, market.id] = tier.rate / WAD
            offsets[k, market.id] = tier.offset / WAD
    return price, index, rates, offsets, unpriced
