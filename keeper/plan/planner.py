"""The planner: from unsafe accounts to the calls worth sending now, and a reason for each account left alone.

Pure: the same inputs give the same schedule, live, in a dry run and in a test.
"""

from collections.abc import Mapping, Sequence

from keeper.errors import Refused
from keeper.model.assessment import Assessment, Unsafe
from keeper.model.health import WAD
from keeper.model.plan import (
    Funds,
    InFlight,
    Opportunity,
    Plan,
    Policy,
    Rejected,
    Rejection,
    Schedule,
    token_key,
)
from keeper.plan import select
from keeper.plan.gas import fee_market
from keeper.plan.select import Option
from keeper.plan.value import Appraiser, Offer, Refusal, native_short
from keeper.protocols.base import Protocol, Snapshot

# Budgets of our own. Those of protocols (`Opportunity.uses`) and of tokens (`token_key`) stand beside them.
_COUNT, _GAS, _NATIVE = "own:count", "own:gas", "own:native"
_OWN = (_COUNT, _GAS, _NATIVE)


def choose(
    protocol: Protocol,
    snapshot: Snapshot,
    assessment: Assessment,
    timestamp: int,
    policy: Policy,
    funds: Funds,
    in_flight: InFlight,
) -> Schedule:
    """What to send on top of the snapshot's block, best first, and why not the rest.

    `timestamp`: seconds at which it would execute, the one of the assessment. `funds`: with plans in flight already
    taken off. Every unsafe account, and every unpriced one, is in exactly one of plans and rejected.
    """
    return _Round(protocol, snapshot, timestamp, policy, funds, in_flight).run(assessment)


class _Round:
    """One block's planning: what is left of each budget, and what has been decided."""

    def __init__(
        self,
        protocol: Protocol,
        snapshot: Snapshot,
        timestamp: int,
        policy: Policy,
        funds: Funds,
        in_flight: InFlight,
    ) -> None:
        self.protocol = protocol
        self.snapshot = snapshot
        self.timestamp = timestamp
        self.policy = policy
        self.funds = funds
        self.in_flight = in_flight
        fees = fee_market(snapshot.block, policy)
        self.appraiser = Appraiser(policy, fees, funds.native_price_wad, funds.native)
        self.left = {
            _COUNT: max(policy.max_in_flight - in_flight.count, 0),
            _GAS: int(policy.gas_share * snapshot.block.gas_limit),
            _NATIVE: funds.native,
            **{token_key(token): amount for token, amount in funds.tokens.items()},
        }
        self.limits: dict[str, int] = {}  # whole shared limits, as adapters told
        self.refused: dict[bytes, Refusal] = {}

    def run(self, assessment: Assessment) -> Schedule:
        unpriced = Refusal.of(Rejection.UNPRICED, "depends on a price that cannot be used")
        refused = [_rejected(account, 0, unpriced) for account in assessment.unpriced]
        offers = [offer for account in assessment.unsafe for offer in self._offers(account)]
        taken = self._take(sorted(offers, key=_rank), {account.address: account for account in assessment.unsafe})
        plans = tuple(filter(None, map(self._plan, sorted(taken, key=_rank))))
        refused += [
            _rejected(account.address, account.health.health_wad, self.refused[account.address])
            for account in assessment.unsafe
            if account.address in self.refused
        ]
        return Schedule(plans, tuple(refused))

    # ---- one account

    def _offers(self, account: Unsafe) -> list[Offer]:
        """What pays for one account by itself; its refusal is noted when nothing does."""
        refusal = self._hold(account)
        found: list[Offer] = []
        if refusal is None:
            found, refusal = self._ask(account)
        if refusal is not None:
            self.refused[account.address] = refusal
        return found

    def _hold(self, account: Unsafe) -> Refusal | None:
        if account.address in self.in_flight.accounts:
            return Refusal.of(Rejection.IN_FLIGHT, "a transaction for it is on its way")
        first = self.in_flight.cooling.get(account.address, 0)
        if first > self.snapshot.block.number:
            return Refusal.of(Rejection.COOLING_DOWN, f"an attempt failed, left alone until block {first}")
        if self.funds.native_price_wad <= 0:
            return Refusal.of(Rejection.UNPRICED, "the price of the native coin is unknown, so gas cannot be valued")
        return None

    def _ask(self, account: Unsafe) -> tuple[list[Offer], Refusal | None]:
        """Offers that fit what is there, smaller ones where the first do not; else why there is none."""
        try:
            found = self._opportunities(account, {})
            if not found:
                return [], Refusal.of(Rejection.NO_LEGAL_SIZE, "the protocol's rules allow no size now")
            best = _best(found)
            if any(self._short(_draws(opportunity)) for opportunity in found):
                found = self._fitting(account)
        except Refused as refusal:
            return [], _translated(refusal)
        if not found:
            return [], self._shortage(_draws(best))
        answers = {id(opportunity): self.appraiser.appraise(opportunity) for opportunity in found}
        offers = [answer for answer in answers.values() if isinstance(answer, Offer)]
        refusal = answers[id(_best(found))]
        return offers, None if offers or isinstance(refusal, Offer) else refusal

    def _opportunities(self, account: Unsafe, limits: Mapping[str, int]) -> list[Opportunity]:
        """The adapter's answer; learns shared limits that were not known."""
        found = self.protocol.opportunities(self.snapshot, account.row, self.timestamp, self.policy.target_wad, limits)
        for opportunity in found:
            for key, (_, limit) in opportunity.uses.items():
                if key not in self.limits:
                    self.limits[key] = limit
                    self.left[key] = max(limit - self.in_flight.uses.get(key, 0), 0)
        return found

    def _fitting(self, account: Unsafe) -> list[Opportunity]:
        """What the adapter can do with what is left of shared limits and tokens."""
        limits = {key: left for key, left in self.left.items() if key not in _OWN}
        found = self._opportunities(account, limits)
        return [opportunity for opportunity in found if not self._short(_draws(opportunity))]

    # ---- the set

    def _take(self, offers: Sequence[Offer], accounts: Mapping[bytes, Unsafe]) -> list[Offer]:
        """The best set, then smaller sizes for accounts that the better ones left too little of a limit for."""
        options = [
            Option(offer.opportunity.account, self.appraiser.gain_wad(offer), self._all_draws(offer))
            for offer in offers
        ]
        taken = [offers[i] for i in select.choose(options, self.left)]
        for offer in taken:
            self._draw(offer)
        done = {offer.opportunity.account for offer in taken}
        for offer in offers:
            account = offer.opportunity.account
            if account in done:
                continue
            done.add(account)
            smaller = self._smaller(offer, accounts[account])
            if smaller is not None:
                self._draw(smaller)
                taken.append(smaller)
        return taken

    def _smaller(self, offer: Offer, account: Unsafe) -> Offer | None:
        """An offer that fits what is left, of an account whose best one does not; else its refusal is noted."""
        draws = self._all_draws(offer)
        short = self._short(draws)
        if short not in _OWN and self.left.get(short, 0) > 0:
            answers = [self.appraiser.appraise(opportunity) for opportunity in self._fitting(account)]
            offers = sorted((answer for answer in answers if isinstance(answer, Offer)), key=_rank)
            fitting = [smaller for smaller in offers if not self._short(self._all_draws(smaller))]
            if fitting:
                return fitting[0]
        self.refused[account.address] = self._shortage(draws)
        return None

    def _all_draws(self, offer: Offer) -> dict[str, int]:
        opportunity = offer.opportunity
        own = {_COUNT: 1, _GAS: opportunity.gas_limit, _NATIVE: opportunity.gas_limit * offer.max_fee}
        return {**own, **_draws(opportunity)}

    def _draw(self, offer: Offer) -> None:
        for key, amount in self._all_draws(offer).items():
            self.left[key] = self.left.get(key, 0) - amount

    def _short(self, draws: Mapping[str, int]) -> str:
        """The first budget of which too little is left; empty when all suffice."""
        return next((key for key, amount in draws.items() if amount > self.left.get(key, 0)), "")

    def _shortage(self, draws: Mapping[str, int]) -> Refusal:
        key = self._short(draws)
        needed, left = draws.get(key, 0), self.left.get(key, 0)
        if key == _COUNT:
            message = f"{self.policy.max_in_flight} transactions are planned or on their way"
            return Refusal.of(Rejection.TOO_MANY_IN_FLIGHT, message)
        if key == _GAS:
            return Refusal.of(Rejection.BLOCK_GAS, f"needs {needed:,} gas, {left:,} of the block's share is left")
        if key == _NATIVE:
            return Refusal.of(Rejection.INSUFFICIENT_FUNDS, native_short(needed, left))
        if key in self.limits:
            whole = max(self.limits[key], 1)
            message = f"{key}: needs {needed / whole:.1%} of the limit, {left / whole:.1%} is left"
            return Refusal.of(Rejection.SHARED_LIMIT, message)
        return Refusal.of(
            Rejection.INSUFFICIENT_FUNDS, f"needs {self._amount(key, needed)}, {self._amount(key, left)} is left"
        )

    # ---- the answer

    def _plan(self, offer: Offer) -> Plan | None:
        opportunity = offer.opportunity
        try:
            call = self.protocol.encode(self.snapshot, opportunity, self.appraiser.floor_wad(opportunity))
        except Refused as refusal:
            self.refused[opportunity.account] = _translated(refusal)
            return None
        head = self.snapshot.block.number
        return Plan(
            opportunity=opportunity,
            call=call,
            max_fee=offer.max_fee,
            priority_fee=self.appraiser.fees.tip,
            bid=offer.bid,
            value_wad=offer.value_wad,
            score=offer.score_wad / WAD,
            planned_block=head,
            deadline_block=head + self.policy.deadline_blocks,
        )

    def _amount(self, key: str, amount: int) -> str:
        """Units of the token behind a budget, for people."""
        for token, (symbol, decimals) in self.protocol.token_symbols(self.snapshot.state).items():
            if token_key(token) == key:
                return f"{amount / 10**decimals:,.2f} {symbol}"
        return f"{amount} of {key}"


def _draws(opportunity: Opportunity) -> dict[str, int]:
    """What an opportunity draws on beside our own budgets: shared limits and tokens."""
    spends = {token_key(token): amount for token, amount in opportunity.spends.items() if amount > 0}
    return {**{key: amount for key, (amount, _) in opportunity.uses.items()}, **spends}


def _rank(offer: Offer) -> tuple[int, bytes, str, str, int]:
    """Best first, ties by address, then by what it closes."""
    opportunity = offer.opportunity
    return -offer.score_wad, opportunity.account, opportunity.kind, opportunity.subject, opportunity.size


def _best(found: Sequence[Opportunity]) -> Opportunity:
    """The one whose refusal stands for the account: the highest reward."""
    return max(found, key=lambda opportunity: opportunity.reward_wad)


def _translated(refusal: Refused) -> Refusal:
    """An adapter's no. Its code is the reason where it is one of ours."""
    known = {reason.value for reason in Rejection}
    reason = Rejection(refusal.code) if refusal.code in known else Rejection.UNSUPPORTED
    return Refusal.of(reason, str(refusal))


def _rejected(account: bytes, health_wad: int, refusal: Refusal) -> Rejected:
    return Rejected(account, refusal.reason, refusal.message, health_wad)
