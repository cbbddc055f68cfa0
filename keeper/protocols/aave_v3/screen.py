"""Health of all accounts at once in float64, with a bound on its error."""

from dataclasses import dataclass

import numpy as np

from keeper.errors import Refused
from keeper.protocols.aave_v3.health import AaveMarket
from keeper.protocols.aave_v3.state import ACCOUNTS, DEBTS, SUPPLIES, Debt
from keeper.protocols.base import Screen
from keeper.protocols.columns import Columns, Table

_EPS = 2.0**-52
_OPERATIONS = 24
_CATEGORIES = 256


def screen(market: AaveMarket, columns: Columns) -> Screen:
    """Slack (collateral times threshold, less debt) of all accounts, and a bound that its exact value never leaves.

    Bound. A term is scaled * index * price / unit, times a threshold for collateral: a value read from a column has a
    relative error of at most 2**-52, a constant made from exact integers 2**-53, each of at most 6 products 2**-53, the
    sum over the account's n rows (n + 6) * 2**-53: together below (24 + n) * 2**-52 of the sum A of all terms'
    absolute values. Stable debts are computed in integers. The contract rounds on the way: scaled units to whole ones
    (half a unit, one in 3.6), values to whole units of the base currency (one), which is price / unit + 1 base units a
    row; and 3.0.2 takes the average threshold in whole bps, rounded down, which is one bp of the collateral, and the
    product to whole base units. All of these are added up by row, with two base units of room.
    """
    arrays = _arrays(market)
    count = len(columns)
    category = _categories(columns, count)
    sums = _AaveSums.of(count)
    _supplies(columns[SUPPLIES], arrays, category, sums)
    _debts(market, columns[DEBTS], arrays, category, sums)
    slack = sums.weighted - sums.debt
    coarse = 0.0 if market.readings.version.modern else 1e-4
    scale = 1.0 / market.readings.unit
    absolute = sums.collateral + sums.weighted + sums.debt
    bound = (_OPERATIONS + sums.rows) * _EPS * absolute + coarse * sums.collateral + (sums.units + 2.0) * scale
    unpriced = sums.unpriced > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        health = np.where(sums.debt > 0, sums.weighted / sums.debt, np.inf)
    # What owes and has nothing to seize cannot be liquidated; what owes nothing is safe.
    settled = (sums.debt == 0) | (sums.collateral == 0)
    slack[settled | unpriced] = np.inf
    health[unpriced] = np.inf
    bound[settled | unpriced] = 0.0
    return Screen(slack=slack, bound=bound, health=health, active=sums.active > 0, unpriced=unpriced)


@dataclass(slots=True)
class _AaveSums:
    """Sums by account row, in dollars; `units` in those of the base currency."""

    collateral: np.ndarray
    weighted: np.ndarray
    debt: np.ndarray
    units: np.ndarray
    rows: np.ndarray
    active: np.ndarray
    unpriced: np.ndarray

    @classmethod
    def of(cls, count: int) -> "_AaveSums":
        return cls(*(np.zeros(count) for _ in range(7)))

    def add(self, name: str, accounts: np.ndarray, values: np.ndarray) -> None:
        target = getattr(self, name)
        target += np.bincount(accounts, values, len(target))


@dataclass(frozen=True, slots=True)
class _Arrays:
    """By eMode and reserve: dollars of a base unit's worth, thresholds, roundings. By reserve: indices."""

    place: np.ndarray  # eMode -> row of the others, row 0 for none
    supply: np.ndarray  # dollars of one scaled aToken
    debt: np.ndarray  # dollars of one scaled debt
    owed: np.ndarray  # dollars of one unit
    threshold: np.ndarray
    units: np.ndarray  # what rounding one position moves, in base units
    unpriced: np.ndarray


def _arrays(market: AaveMarket) -> _Arrays:
    state, readings = market.state, market.readings
    categories = [0, *sorted(readings.categories)]
    place = np.zeros(_CATEGORIES, dtype=np.int64)
    place[categories] = np.arange(len(categories))
    shape = len(categories), max(len(state.reserves), 1)
    supply, debt, owed, threshold, units = (np.zeros(shape) for _ in range(5))
    made = _Arrays(place, supply, debt, owed, threshold, units, np.zeros(shape, dtype=bool))
    for reserve in state.reserves:
        index = reserve.index
        if index not in readings.reserves:
            continue  # its flags count for nothing
        own = readings.reserves[index].configuration
        ray = 10**27
        for row, category in enumerate(categories):
            try:
                terms = market.terms(reserve, category)
            except Refused:
                made.unpriced[row, index] = True
                continue
            counts = readings.version.modern or own.threshold
            # Integers divided once: as near as a float64 gets.
            base = own.unit * readings.unit
            made.supply[row, index] = market.supply_index(index) * terms.price / (ray * base) if counts else 0.0
            made.debt[row, index] = market.debt_index(index) * terms.price / (ray * base)
            made.owed[row, index] = terms.price / base
            made.threshold[row, index] = terms.threshold / 10_000
            made.units[row, index] = 2 * terms.price / own.unit + 2
    return made


def _categories(columns: Columns, count: int) -> np.ndarray:
    """int (accounts,): the eMode of each account."""
    found = np.zeros(count, dtype=np.int64)
    table = columns[ACCOUNTS]
    found[table.accounts] = table.floats("category").astype(np.int64)
    return found


def _supplies(table: Table, arrays: _Arrays, category: np.ndarray, sums: _AaveSums) -> None:
    accounts, assets = table.accounts, table.assets
    scaled, used = table.floats("scaled"), table.floats("collateral") != 0
    rows = arrays.place[category[accounts]]
    value = np.where(used, scaled * arrays.supply[rows, assets], 0.0)
    sums.add("collateral", accounts, value)
    sums.add("weighted", accounts, value * arrays.threshold[rows, assets])
    sums.add("units", accounts, np.where(used, arrays.units[rows, assets], 0.0))
    sums.add("rows", accounts, np.ones(len(accounts)))
    sums.add("active", accounts, (scaled != 0).astype(float))
    sums.add("unpriced", accounts, (used & arrays.unpriced[rows, assets]).astype(float))


def _debts(market: AaveMarket, table: Table, arrays: _Arrays, category: np.ndarray, sums: _AaveSums) -> None:
    accounts, assets = table.accounts, table.assets
    scaled, used = table.floats("scaled"), table.floats("borrowing") != 0
    rows = arrays.place[category[accounts]]
    value = scaled * arrays.debt[rows, assets]
    principal = table.floats("principal")
    stable = np.zeros(len(principal))
    for row in np.flatnonzero(principal).tolist():  # few, and each with a rate of its own
        stable[row] = market.stable(Debt.of(table.values(row)))
    value = np.where(used, value + stable * arrays.owed[rows, assets], 0.0)
    sums.add("debt", accounts, value)
    sums.add("units", accounts, np.where(used, 2 * arrays.units[rows, assets], 0.0))
    sums.add("rows", accounts, np.ones(len(accounts)))
    sums.add("active", accounts, ((scaled != 0) | (principal != 0)).astype(float))
    sums.add("unpriced", accounts, (used & arrays.unpriced[rows, assets]).astype(float))
