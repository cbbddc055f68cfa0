"""Health of all accounts at once in float64, with a bound on its error."""

import numpy as np

from keeper.defi.fixed_point import RAY, WAD
from keeper.protocols.base import Screen, Snapshot
from tiny_lend.maths import index_at, price_at
from tiny_lend.state import COLLATERAL, DEBT, Terms

_EPS = 2.0**-52


def screen(terms: Terms, snapshot: Snapshot, timestamp: int) -> Screen:
    """Slack is capacity less debt.

    Bound. A column value and each factor are within 2**-52 of the exact ones, the product and the sum over an
    account's one row add 2**-53 each: together less than 8 * 2**-52 of capacity and debt each. The contract floors the
    capacity twice (2e-18) and raises the debt to whole units of its token.
    """
    price, problem = price_at(terms, snapshot.readings, timestamp)
    count = len(snapshot.columns)
    capacity = _sum(snapshot, COLLATERAL, "amount", count) * (terms.collateral.scale * price * terms.threshold / WAD**3)
    owed = _sum(snapshot, DEBT, "shares", count) * (
        index_at(snapshot.readings, timestamp) * terms.debt.scale / RAY / WAD
    )
    active = _held(snapshot, count)
    unpriced = active & bool(problem)
    slack = np.where(unpriced, np.inf, capacity - owed)
    bound = np.where(unpriced, 0.0, 8 * _EPS * (capacity + owed) + terms.debt.scale / WAD + 4e-18)
    health = np.divide(capacity, owed, out=np.full(count, np.inf), where=(owed > 0) & ~unpriced)
    return Screen(slack=slack, bound=bound, health=health, active=active, unpriced=unpriced)


def _sum(snapshot: Snapshot, table: str, column: str, count: int) -> np.ndarray:
    """float64 (accounts,)."""
    found = snapshot.columns[table]
    return np.bincount(found.accounts, found.floats(column), count)


def _held(snapshot: Snapshot, count: int) -> np.ndarray:
    held: np.ndarray = (_sum(snapshot, COLLATERAL, "amount", count) != 0) | (_sum(snapshot, DEBT, "shares", count) != 0)
    return held
