"""Health of all accounts in float64 with a bound on its error; accounts with orders are decided in integers."""

import numpy as np

from keeper.errors import Refused
from keeper.protocols.base import Screen, Snapshot
from keeper.protocols.curie.state import ACCOUNT, BALANCES, ORDERS, POSITIONS, SETTLEMENT, CurieState
from keeper.protocols.curie.view import CurieView, view_at

_RELATIVE = 2.0**-44  # of the sum of all absolute terms: some hundred roundings of 2**-53 each, with room
_CUT = 1e-4  # dollars: what integer divisions and the cut to the settlement token's decimals take away
_X96 = 2.0**96


class _CurieSums:
    """Sums by account of terms in dollars, and of their sizes."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.size = np.zeros(count)

    def of(self, accounts: np.ndarray, terms: np.ndarray) -> np.ndarray:
        self.size += np.bincount(accounts, np.abs(terms), self.count)
        return np.bincount(accounts, terms, self.count)


def screen(snapshot: Snapshot, timestamp: int, unit: int) -> Screen:
    """unit: 1e18 dollars for a unit of the settlement token. Without parameters every account is unpriced."""
    state: CurieState = snapshot.state
    count = len(snapshot.columns)
    active = _active(snapshot, count)
    try:
        view = view_at(state, snapshot.readings, timestamp)
    except Refused:
        zeros = np.zeros(count)
        return Screen(zeros, zeros, zeros, active, active.copy())
    sums, exact = _CurieSums(count), np.zeros(count, dtype=bool)
    value, requirement = _positions(snapshot, view, sums, exact)
    balances = snapshot.columns[BALANCES]
    own = balances.assets == SETTLEMENT
    value += sums.of(balances.accounts[own], balances.floats("amount")[own] * (unit / 1e18))
    held = snapshot.columns[ACCOUNT]
    value += sums.of(held.accounts, held.floats("owed") / 1e18)
    # Who has orders, or other collateral, whose tests are several, is left to integers.
    others = ~own & (balances.floats("amount") != 0)
    exact[balances.accounts[others]] = True
    orders = snapshot.columns[ORDERS]
    exact[orders.accounts[orders.floats("liquidity") != 0]] = True
    slack = np.where(exact, np.nan, value - requirement)
    health = np.divide(value, requirement, out=np.full(count, np.inf), where=requirement > 0)
    return Screen(slack, sums.size * _RELATIVE + _CUT, np.where(exact, np.inf, health), active, np.zeros(count, bool))


def _active(snapshot: Snapshot, count: int) -> np.ndarray:
    """Accounts that hold anything."""
    found = np.zeros(count, dtype=bool)
    for name, columns in (
        (BALANCES, ("amount",)),
        (ACCOUNT, ("owed",)),
        (POSITIONS, ("size", "notional")),
        (ORDERS, ("liquidity",)),
    ):
        table = snapshot.columns[name]
        for column in columns:
            found[table.accounts[table.floats(column) != 0]] = True
    return found


def _positions(
    snapshot: Snapshot, view: CurieView, sums: _CurieSums, exact: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(profit less funding, requirement) by account, in dollars; markets without a price are left to integers."""
    table = snapshot.columns[POSITIONS]
    value, requirement = np.zeros(sums.count), np.zeros(sums.count)
    sizes, notionals = table.floats("size"), table.floats("notional")
    last = _whole(table.floats("premium_high"), table.floats("premium_low"))
    for market in view.state.markets:
        rows = (table.assets == market.id) & ((sizes != 0) | (notionals != 0))
        accounts = table.accounts[rows]
        try:
            at = view.market(market.id)
            price, growth = at.reference_price / 1e18, float(at.growth.premium)
        except Refused:
            exact[accounts] = True
            continue
        size = sizes[rows] / 1e18
        value += sums.of(accounts, size * price)
        value += sums.of(accounts, notionals[rows] / 1e18)
        # The difference of two growths: each is rounded, so each counts in the bound.
        value -= sums.of(accounts, size * (growth / _X96 / 86_400))
        value += sums.of(accounts, size * (last[rows] / _X96 / 86_400))
        margin = np.abs(size) * price * (view.parameters.mm_ratio / 1e6)
        requirement += sums.of(accounts, margin)
    return value, requirement


def _whole(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """A word of two halves; one that fits into the low half is that half, which the sum would not keep."""
    small = high == np.where(low < 0, -1.0, 0.0)
    return np.where(small, low, high * 2.0**128 + np.where(low < 0, low + 2.0**128, low))
