"""Conflict sets: plans that together exceed an account, a limit or a balance are never sent together."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from keeper.abi import checksum
from keeper.execute.execution import rejected
from keeper.model.plan import InFlight, Plan, Rejected, Rejection, Shortage


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

    def conflict(self, plan: Plan) -> Rejected | None:
        """Why the plan has to wait; None when it may go out beside the others."""
        if plan.account in self._accounts:
            return rejected(plan, Rejection.IN_FLIGHT, "a transaction for this account is in flight")
        if self._count >= self._most:
            why = f"{self._count} transactions in flight, at most {self._most} allowed"
            return rejected(plan, Rejection.TOO_MANY_IN_FLIGHT, why)
        for key, (amount, limit) in plan.opportunity.uses.items():
            if self._uses[key] + amount > limit:
                left = max(limit - self._uses[key], 0)
                why = f"{key}: needs {amount} of the limit {limit}, {left} is left"
                return rejected(plan, Rejection.SHARED_LIMIT, why)
        return self._short(plan)

    def _short(self, plan: Plan) -> Rejected | None:
        wanted = [Shortage(b"", self._balances.native - self._native, _gas_wei(plan))]
        for token, units in plan.opportunity.spends.items():
            wanted.append(Shortage(token, self._balances.tokens.get(token, 0) - self._spends[token], units))
        for one in wanted:
            left = max(one.balance, 0)
            if one.needed > left:
                what = f"units of token {checksum(one.token)}" if one.token else "wei of the native coin for gas"
                why = f"needs {one.needed} {what}, the keeper has {left} left"
                return rejected(plan, Rejection.INSUFFICIENT_FUNDS, why, replace(one, balance=left))
        return None

    def take(self, plan: Plan) -> None:
        """Count the plan among what is in flight."""
        self._accounts.add(plan.account)
        self._count += 1
        self._native += _gas_wei(plan)
        self._uses.update({key: amount for key, (amount, _) in plan.opportunity.uses.items()})
        self._spends.update(plan.opportunity.spends)


def _gas_wei(plan: Plan) -> int:
    """As a node counts it before it takes a transaction, the data fee of a rollup included."""
    return plan.opportunity.gas_limit * plan.max_fee + plan.data_fee
