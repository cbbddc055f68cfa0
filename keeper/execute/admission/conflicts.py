"""Conflict sets: two plans that draw on the same account, limit or coins beyond what is there never go out together."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from keeper.abi import checksum
from keeper.model.plan import InFlight, Plan, Rejection

Conflict = tuple[Rejection, str]


@dataclass(frozen=True, slots=True)
class Balances:
    """What the keeper holds: wei, and token -> units."""

    native: int
    tokens: Mapping[bytes, int]


def tokens_of(plans: Collection[Plan]) -> set[bytes]:
    """The tokens that plans may take from the keeper."""
    return {token for plan in plans for token, units in plan.opportunity.spends.items() if units > 0}


class Reservations:
    """What open intents and the plans taken so far draw on. A plan in conflict waits for their outcome."""

    def __init__(self, in_flight: InFlight, balances: Balances, most: int) -> None:
        self._accounts = set(in_flight.accounts)
        self._uses = Counter(in_flight.uses)
        self._spends = Counter(in_flight.spends)
        self._native = in_flight.native
        self._count = in_flight.count
        self._balances = balances
        self._most = most
        self.shortage: dict[str, str] = {}  # the first: token, balance and needed, in its units

    def conflict(self, plan: Plan) -> Conflict | None:
        """Why the plan has to wait; None when it may go out beside the others."""
        if plan.account in self._accounts:
            return Rejection.IN_FLIGHT, "a transaction for it is on its way"
        if self._count >= self._most:
            return Rejection.TOO_MANY_IN_FLIGHT, f"{self._count} are on their way, {self._most} may be"
        for key, (amount, limit) in plan.opportunity.uses.items():
            if self._uses[key] + amount > limit:
                return Rejection.SHARED_LIMIT, f"{key}: what is on its way leaves {max(limit - self._uses[key], 0)}"
        return self._short(plan)

    def _short(self, plan: Plan) -> Conflict | None:
        balances = [("native", _gas_wei(plan), self._balances.native - self._native)]
        for token, units in plan.opportunity.spends.items():
            balances.append((checksum(token), units, self._balances.tokens.get(token, 0) - self._spends[token]))
        for name, needed, left in balances:
            if needed > max(left, 0):
                self.shortage = self.shortage or {"token": name, "balance": str(left), "needed": str(needed)}
                return Rejection.INSUFFICIENT_FUNDS, f"may take {needed} units of {name}, {max(left, 0)} are left"
        return None

    def take(self, plan: Plan) -> None:
        """Count the plan among what is on its way."""
        self._accounts.add(plan.account)
        self._count += 1
        self._native += _gas_wei(plan)
        self._uses.update({key: amount for key, (amount, _) in plan.opportunity.uses.items()})
        self._spends.update(plan.opportunity.spends)


def _gas_wei(plan: Plan) -> int:
    """As a node counts it before it takes a transaction."""
    return plan.opportunity.gas_limit * plan.max_fee
