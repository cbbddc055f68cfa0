"""The planner: from unsafe accounts to the calls worth sending now, and a reason for each account without a plan.

Pure: the same inputs give the same schedule, live, in a dry run and in a test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from keeper.errors import Refused
from keeper.model.assessment import Assessment, Unsafe
from keeper.model.health import WAD
from keeper.model.plan import (
    Funds,
    InFlight,
    Opportunity,
    OwnLiquidation,
    Plan,
    Policy,
    Rejected,
    Rejection,
    Schedule,
)
from keeper.plan import select
from keeper.plan.budgets import OWN, Budgets, offer_draws, opportunity_draws
from keeper.plan.data_costs import DataCosts
from keeper.plan.gas import fee_market
from keeper.plan.select import Option
from keeper.plan.value import Appraiser, Offer, Refusal, usd
from keeper.protocols.base import Protocol, Snapshot
from keeper.protocols.deadline import deadline_of, encode_until

_MOST_ASKED = 100  # accounts whose reason is asked for


@dataclass(frozen=True, slots=True)
class Situation:
    """One block, what the keeper can spend on it, and what it has in flight."""

    snapshot: Snapshot
    timestamp: int  # seconds at which a transaction sent now would execute
    funds: Funds  # less what is in flight
    in_flight: InFlight


def choose(protocol: Protocol, situation: Situation, assessment: Assessment, policy: Policy) -> Schedule:
    """What to send on top of the situation's block, best first, and the reason for each account without a plan.

    `assessment`: of the same block and timestamp. Every unsafe account, and every one that cannot be judged, is in
    exactly one of plans and rejected.
    """
    return _Round(protocol, situation, policy).run(assessment)


class _Round:
    """One block's planning."""

    def __init__(self, protocol: Protocol, situation: Situation, policy: Policy) -> None:
        funds, block = situation.funds, situation.snapshot.block
        fees = fee_market(block, policy)
        self.protocol = protocol
        self.timestamp = situation.timestamp
        self.snapshot = self._after(situation.snapshot, situation.in_flight.ahead)
        self.policy = policy
        self.deadline = deadline_of(block.timestamp, situation.timestamp, policy.deadline_blocks)
        self.native_price_wad = funds.native_price_wad
        self.floors = funds.floors
        self.in_flight = situation.in_flight
        self.appraiser = Appraiser(policy, fees, funds)
        self.data_costs = DataCosts(protocol, situation.snapshot)
        self.budgets = Budgets(policy, funds, situation.in_flight, block, fees.base_fee)
        self.refused: dict[bytes, Refusal] = {}
        self.touched = set[bytes]()  # pools that plans of this block change
        self.waiting = list[OwnLiquidation]()  # plans whose effect on the pools was not needed yet
        self.quarantine = ""  # why opportunities of the last account are quarantined

    def run(self, assessment: Assessment) -> Schedule:
        accounts = {account.address: account for account in assessment.unsafe}
        offers = [offer for account in assessment.unsafe for offer in self._offers(account)]
        plans = [plan for offer in self._chosen(offers, accounts) if (plan := self._plan(offer)) is not None]
        rejected = self._unpriced(assessment) + unjudged(assessment)
        rejected += [
            _rejected(account.address, account.health.health_wad, self.refused[account.address])
            for account in assessment.unsafe
            if account.address in self.refused
        ]
        return Schedule(tuple(plans), tuple(rejected))

    def _unpriced(self, assessment: Assessment) -> list[Rejected]:
        """Accounts that the screen could not judge. Only the first get the adapter's own reason: each costs time."""
        screened = [account for account in assessment.unpriced if account not in assessment.refused]
        prices = self.protocol.prices(self.snapshot, self.timestamp) if screened else []
        problems = ", ".join(f"{price.label} {price.problem}" for price in prices if price.problem)
        why = f"depends on a price that cannot be used{f' ({problems})' if problems else ''}"
        generic = Refusal(Rejection.UNPRICED, why)
        told = {account: self._why(account) for account in screened[:_MOST_ASKED]}
        return [_rejected(account, 0, told.get(account) or generic) for account in screened]

    def _why(self, account: bytes) -> Refusal | None:
        row = self.snapshot.columns.accounts.row(account)
        try:
            if row is not None:
                self.protocol.health(self.snapshot, row, self.timestamp)
        except Refused as refused:
            return _translated(refused)
        return None

    # ---- one account

    def _offers(self, account: Unsafe) -> list[Offer]:
        """Offers that pay for one account alone; the refusal is kept when there is none."""
        try:
            answer = self._held(account) or self._ask(account)
        except Refused as refused:
            answer = _translated(refused)
        if isinstance(answer, Refusal):
            self.refused[account.address] = answer
            return []
        return answer

    def _held(self, account: Unsafe) -> Refusal | None:
        if account.address in self.in_flight.accounts:
            return Refusal(Rejection.IN_FLIGHT, "a transaction for this account is in flight")
        first = self.in_flight.cooling.get(account.address, 0)
        if first > self.snapshot.block.number:
            return Refusal(
                Rejection.COOLING_DOWN, f"the last attempt failed; the account is skipped until block {first}"
            )
        if self.native_price_wad <= 0:
            return Refusal(Rejection.UNPRICED, "the price of the native coin is unknown, so the cost of gas is unknown")
        return None

    def _ask(self, account: Unsafe) -> list[Offer] | Refusal:
        """Offers within the budgets, smaller ones where the first are too large; else the reason that there is none."""
        found = self._opportunities(account, {})
        if not found:
            return self._nothing_left()
        fitting = found
        if any(self.budgets.short(opportunity_draws(opportunity)) for opportunity in found):
            fitting = self._fitting(account)
        if not fitting:
            return self._shortage(opportunity_draws(max(found, key=_reward)))
        answers = [self._appraise(opportunity) for opportunity in sorted(fitting, key=_reward, reverse=True)]
        offers = [answer for answer in answers if isinstance(answer, Offer)]
        refusals = [answer for answer in answers if isinstance(answer, Refusal)]
        return offers or refusals[0]

    def _appraise(self, opportunity: Opportunity) -> Offer | Refusal:
        least_wad = self._executor_floor_wad(opportunity)
        if opportunity.reward_wad < least_wad:
            why = f"reward {usd(opportunity.reward_wad)}, the executor's floor {usd(least_wad)}"
            return Refusal(Rejection.UNPROFITABLE, why)
        try:
            return self.appraiser.appraise(*self.data_costs.of(opportunity))
        except Refused as refused:
            return _translated(refused)

    def _executor_floor_wad(self, opportunity: Opportunity) -> int:
        """Dollars below which the executor refuses a call (`BelowFloor`), rounded up."""
        floors = [(token, self.floors[token]) for token in opportunity.rewards if token in self.floors]
        return sum(self.protocol.value_wad(self.snapshot, token, units) + 1 for token, units in floors)

    def _opportunities(self, account: Unsafe, limits: Mapping[str, int]) -> list[Opportunity]:
        asked = self.protocol.opportunities(self.snapshot, account.row, self.timestamp, self.policy.target_wad, limits)
        closed = self.in_flight.quarantined
        found = [opportunity for opportunity in asked if f"{opportunity.kind} {opportunity.subject}" not in closed]
        self.quarantine = next((closed[key] for o in asked if (key := f"{o.kind} {o.subject}") in closed), "")
        self.budgets.learn(found)
        return found

    def _nothing_left(self) -> Refusal:
        """Why an account has no opportunity."""
        if self.quarantine:
            return Refusal(Rejection.HOLD, f"its asset is quarantined: {self.quarantine}")
        return Refusal(Rejection.NO_LEGAL_SIZE, "the protocol allows no size of liquidation now")

    def _fitting(self, account: Unsafe) -> list[Opportunity]:
        """Opportunities within what is left of shared limits and tokens."""
        try:
            found = self._opportunities(account, self.budgets.for_adapters())
        except Refused:
            return []
        return [opportunity for opportunity in found if not self.budgets.short(opportunity_draws(opportunity))]

    # ---- the set

    def _chosen(self, offers: Sequence[Offer], accounts: Mapping[bytes, Unsafe]) -> list[Offer]:
        """What to send, in order: the best set, then what fits in the place of those that no longer pay once quoted."""
        ranked = sorted(offers, key=_rank)
        taken = self._take(ranked, accounts)
        tried = {offer.opportunity.account for offer in taken}
        chosen = list[Offer]()
        while taken:
            quoted = self._in_order(taken, accounts)
            chosen += quoted
            taken = self._filled(ranked, tried) if len(quoted) < len(taken) else []
        return chosen

    def _filled(self, ranked: Sequence[Offer], tried: set[bytes]) -> list[Offer]:
        """Offers of accounts not tried yet that fit what is left; these are tried then."""
        found = list[Offer]()
        for offer in ranked:
            account, draws = offer.opportunity.account, offer_draws(offer)
            if account not in tried and not self.budgets.short(draws):
                self.budgets.take(draws)
                self.refused.pop(account, None)
                tried.add(account)
                found.append(offer)
        return found

    def _take(self, offers: Sequence[Offer], accounts: Mapping[bytes, Unsafe]) -> list[Offer]:
        """The best set, then smaller sizes for accounts whose offer no longer fits a shared limit."""
        options = [
            Option(offer.opportunity.account, self.appraiser.gain_wad(offer), offer_draws(offer)) for offer in offers
        ]
        taken = [offers[i] for i in select.choose(options, self.budgets.left)]
        for offer in taken:
            self.budgets.take(offer_draws(offer))
        done = {offer.opportunity.account for offer in taken}
        for offer in offers:
            account = offer.opportunity.account
            if account not in done:
                done.add(account)
                taken += self._smaller(offer, accounts[account])
        return taken

    def _smaller(self, offer: Offer, account: Unsafe) -> list[Offer]:
        """The best smaller offer of an account whose first does not fit; the refusal is kept when there is none."""
        draws = offer_draws(offer)
        short = self.budgets.short(draws)
        if short not in OWN and self.budgets.left.get(short, 0) > 0:
            answers = [self._appraise(opportunity) for opportunity in self._fitting(account)]
            if smaller := self._first_within(answers):
                return [smaller]
        self.refused[account.address] = self._shortage(draws)
        return []

    def _first_within(self, answers: Sequence[Offer | Refusal]) -> Offer | None:
        """The best offer within the budgets, taken from them; None when none is."""
        for offer in sorted((answer for answer in answers if isinstance(answer, Offer)), key=_rank):
            if not self.budgets.short(offer_draws(offer)):
                self.budgets.take(offer_draws(offer))
                return offer
        return None

    def _shortage(self, draws: Mapping[str, int]) -> Refusal:
        return self.budgets.shortage(draws, self.protocol.token_symbols(self.snapshot.state))

    # ---- the order

    def _in_order(self, taken: Sequence[Offer], accounts: Mapping[bytes, Unsafe]) -> list[Offer]:
        """The offers as they execute, best first. One that shares a pool with an earlier one is made again after it."""
        quoted = list[Offer]()
        for offer in sorted(taken, key=_rank):
            if not self.touched.isdisjoint(offer.opportunity.pools):
                self.snapshot, self.waiting = self._after(self.snapshot, self.waiting), []
                again = self._made_again(offer, accounts[offer.opportunity.account])
                if again is None:
                    continue
                offer = again  # noqa: PLW2901
            quoted.append(offer)
            if offer.opportunity.pools:
                self.touched.update(offer.opportunity.pools)
                self.waiting.append(_own(offer.opportunity))
        return quoted

    def _after(self, snapshot: Snapshot, own: Sequence[OwnLiquidation]) -> Snapshot:
        return self.protocol.after(snapshot, own, self.timestamp) if own else snapshot

    def _made_again(self, offer: Offer, account: Unsafe) -> Offer | None:
        """The best offer for an account in the pools as they are now; the refusal is kept when there is none."""
        self.budgets.give_back(offer_draws(offer))
        try:
            found = self._opportunities(account, self.budgets.for_adapters())
        except Refused as refused:
            self.refused[account.address] = _translated(refused)
            return None
        answers = [self._appraise(opportunity) for opportunity in sorted(found, key=_reward, reverse=True)]
        again = self._first_within(answers)
        if again is None:
            refusals = [answer for answer in answers if isinstance(answer, Refusal)]
            short = [self._shortage(offer_draws(answer)) for answer in answers if isinstance(answer, Offer)]
            self.refused[account.address] = [*refusals, *short, self._nothing_left()][0]
        return again

    # ---- the answer

    def _plan(self, offer: Offer) -> Plan | None:
        opportunity = offer.opportunity
        try:
            floor_wad = max(self.appraiser.floor_wad(offer), self._executor_floor_wad(opportunity))
            covering = Fraction(self.appraiser.covering_wad(offer), floor_wad) if floor_wad else Fraction(1)
            call = encode_until(self.protocol, self.snapshot, opportunity, floor_wad, self.deadline)
        except Refused as refused:
            self.refused[opportunity.account] = _translated(refused)
            return None
        head = self.snapshot.block.number
        return Plan(
            opportunity=opportunity,
            call=call,
            max_fee=offer.max_fee,
            priority_fee=self.policy.priority_fee,
            bid=offer.bid,
            value_wad=offer.value_wad,
            score=offer.score_wad / WAD,
            planned_block=head,
            deadline_block=head + self.policy.deadline_blocks,
            covering=covering,
            data_fee=self.snapshot.data_fees.most(len(call.data), opportunity.gas_limit),
        )


def unjudged(assessment: Assessment) -> list[Rejected]:
    """Accounts that might be unsafe and that the adapter refuses to judge, each with its reason."""
    return [
        _rejected(account, 0, _translated(Refused(code, why)))
        for account, (code, why) in sorted(assessment.refused.items())
    ]


def _rank(offer: Offer) -> tuple[int, bytes, str, str, int]:
    """Sort key: highest score first; ties by address, kind, subject and size."""
    opportunity = offer.opportunity
    return -offer.score_wad, opportunity.account, opportunity.kind, opportunity.subject, opportunity.size


def _own(opportunity: Opportunity) -> OwnLiquidation:
    return OwnLiquidation((opportunity.account,), {key: amount for key, (amount, _) in opportunity.uses.items()})


def _reward(opportunity: Opportunity) -> int:
    return opportunity.reward_wad


def _translated(refused: Refused) -> Refusal:
    """An adapter's refusal. Its code is the reason where it is a known one, else part of the message."""
    message = str(refused)
    if refused.code in {reason.value for reason in Rejection}:
        return Refusal(Rejection(refused.code), message)
    return Refusal(Rejection.UNSUPPORTED, message if message == refused.code else f"{refused.code}: {message}")


def _rejected(account: bytes, health_wad: int, refusal: Refusal) -> Rejected:
    return Rejected(account, refusal.reason, refusal.message, health_wad, refusal.shortage)
