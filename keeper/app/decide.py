"""From a snapshot to plans: the one road that the daemon, `keeper plan` and every test bed take."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from keeper.app.policies import guard_policy, native_price_of, policy_of, trade_limits_of
from keeper.app.session import Session
from keeper.book.sync import Advance, BookSync
from keeper.chain.balances import profit_floors, token_balances
from keeper.errors import Transient
from keeper.model.assessment import Assessment
from keeper.model.chain import BlockRef, Call
from keeper.model.events import Emit
from keeper.model.limits import TradeLimits
from keeper.model.plan import Funds, InFlight, Plan, Policy, Rejected, Rejection
from keeper.plan.planner import Situation, choose, unjudged
from keeper.protocols.base import PriceReading, Snapshot
from keeper.protocols.permission import checks_calls
from keeper.risk.native_price import NativePrice
from keeper.risk.price_filter import PriceFilter, answers_by_contract
from keeper.risk.price_guard import PriceGuard, Verdict
from keeper.risk.screening import assess
from keeper.settings import Settings

UNLIMITED = 2**127
_STEPS = 9  # blocks whose distances are averaged
_MOST_READS = 4  # of one block, until the price guard knows all that it asks
_UNAFFORDABLE = (Rejection.FEE_CAP, Rejection.INSUFFICIENT_FUNDS)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on one block, and everything that it was decided from.

    Every unsafe account, and every one that cannot be judged, is in exactly one of `plans` (best first) and `rejected`.
    `held`: why nothing may be sent at all; empty when it may. `funds`: what is left to spend, None when no account is
    unsafe.
    """

    snapshot: Snapshot
    timestamp: int  # seconds: when a transaction sent now is expected to execute
    assessment: Assessment
    prices: tuple[PriceReading, ...]
    verdict: Verdict
    in_flight: InFlight
    held: str = ""
    funds: Funds | None = None
    plans: tuple[Plan, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    worth_sending: bool = False  # something pays, whether or not it may or can be sent now

    @property
    def block(self) -> BlockRef:
        return self.snapshot.block


class BlockTimes:
    """Estimates the next block's timestamp, at which a transaction sent now executes."""

    def __init__(self) -> None:
        self._blocks: deque[BlockRef] = deque(maxlen=_STEPS)

    def saw(self, block: BlockRef) -> None:
        if self._blocks and self._blocks[-1].number == block.number:
            self._blocks.pop()  # replaced, or handled again
        self._blocks.append(block)

    def next_timestamp(self, block: BlockRef) -> int:
        """Seconds: the block's own plus the median distance of the newest blocks, at least one second."""
        stamps = [known.timestamp for known in self._blocks]
        steps = sorted(late - early for early, late in pairwise(stamps))
        return block.timestamp + max(steps[len(steps) // 2] if steps else 1, 1)


class Decider:
    """Decides block by block for one protocol. Balances are the only thing that it reads."""

    def __init__(
        self, session: Session, policy: Policy, guard: PriceGuard, native: NativePrice, limits: TradeLimits
    ) -> None:
        self._session = session
        self._protocol = session.protocol
        self._policy = policy
        self._guard = guard
        self._native = native
        self._limits = limits
        self._data_fees = session.data_fees
        self._times = BlockTimes()

    async def decide(self, advance: Advance, in_flight: InFlight, held: str = "") -> Decision:
        """What to send on top of the advance's block. `held`: why nothing may be sent, known beforehand.

        Raises Transient when balances cannot be read, OperatorError when the protocol has no price of the native coin.
        """
        snapshot = advance.snapshot
        self._times.saw(snapshot.block)
        timestamp = self._times.next_timestamp(snapshot.block)
        assessment = assess(self._protocol, snapshot, timestamp)
        prices = tuple(self._protocol.prices(snapshot, timestamp))
        verdict = self._judge(advance, prices)
        self._native.at(self._protocol, snapshot, timestamp)  # a label that no price has ends the run at once
        decision = Decision(
            snapshot,
            timestamp,
            assessment,
            prices,
            verdict,
            in_flight,
            held=self._session.chain.problem or held,
            rejected=tuple(unjudged(assessment)),
        )
        return await self._planned(decision, advance) if assessment.unsafe else decision

    def _judge(self, advance: Advance, prices: Sequence[PriceReading]) -> Verdict:
        answers = answers_by_contract(self._protocol.reads(advance.snapshot.state), advance.answers)
        return self._guard.judge(advance.snapshot.block, prices, answers, advance.beside)

    async def _planned(self, decision: Decision, advance: Advance) -> Decision:
        """The decision with plans, and a reason for each account that has none."""
        prices = PriceFilter(self._protocol, decision.snapshot, advance.answers, decision.verdict, decision.timestamp)
        trusted, left_out = prices.without_held(decision.assessment)
        funds = await self.funds(decision)
        situation = Situation(decision.snapshot, decision.timestamp, funds, decision.in_flight)
        later = replace(decision.snapshot, block=replace(decision.block, timestamp=decision.timestamp))
        while True:
            schedule = choose(self._protocol, situation, trusted, self._policy)
            trusted, unprofitable = prices.without_unprofitable(schedule.plans, trusted, self._policy.min_profit_wad)
            trusted, limited = self._without_limited(schedule.plans, trusted, later)
            if not unprofitable and not limited:
                break
            left_out += [*unprofitable, *limited]  # planned once more without them, so that they take nobody's place
        unaffordable = any(item.reason in _UNAFFORDABLE for item in schedule.rejected)
        planned = replace(
            decision,
            funds=funds,
            plans=schedule.plans,
            rejected=(*schedule.rejected, *left_out),
            worth_sending=bool(schedule.plans) or unaffordable,
        )
        return _held_back(planned) if decision.held else planned

    def _without_limited(
        self, plans: Sequence[Plan], assessment: Assessment, snapshot: Snapshot
    ) -> tuple[Assessment, list[Rejected]]:
        """The assessment without accounts whose plan a limit of the operator forbids; the removed ones come second."""
        if not self._limits.need_stakes or not checks_calls(self._protocol):
            return assessment, []
        unsafe = {account.address: account for account in assessment.unsafe}
        limited = [
            Rejected(plan.account, Rejection.LIMIT, why, plan.opportunity.before.health_wad)
            for plan in plans
            if plan.account in unsafe and (why := self._limits.refusal(self._protocol.stakes(snapshot, plan.call)))
        ]
        for item in limited:
            del unsafe[item.account]
        return replace(assessment, unsafe=tuple(unsafe.values())), limited

    async def funds(self, decision: Decision) -> Funds:
        """Balances at the decision's block less what is in flight. Without a signer, unlimited funds are assumed."""
        session, in_flight = self._session, decision.in_flight
        price = self._native.at(self._protocol, decision.snapshot, decision.timestamp)
        tokens = self._protocol.purse(decision.snapshot.state)
        keeper, reader = session.deployment.means.keeper, session.chain.reader
        floors = profit_floors(reader, decision.block, session.deployment.executor, tokens)
        if not keeper:
            return Funds(UNLIMITED, price, dict.fromkeys(tokens, UNLIMITED), await floors)
        balances, native, least = await asyncio.gather(
            token_balances(reader, decision.block, session.deployment.holder, tokens),
            reader.balance(keeper, decision.block),
            floors,
        )
        left = {token: max(amount - in_flight.spends.get(token, 0), 0) for token, amount in balances.items()}
        return Funds(max(native - in_flight.native, 0), price, left, least)

    def calls(self) -> list[Call]:
        """What to read in the next block beside the protocol's own reads: data fees, and what the price guard asks."""
        return [*self._session.oracle.calls, *self._guard.calls()]

    async def advance(self, sync: BookSync, head: BlockRef) -> Advance | None:
        """`BookSync.advance` with the reads of `calls`: the snapshot has the block's data fees."""
        found = await sync.advance(head, self.calls())
        return self._with_data_fees(found) if found else None

    def _with_data_fees(self, advance: Advance) -> Advance:
        oracle = self._session.oracle
        count = len(oracle.calls)
        self._data_fees = oracle.decode(advance.beside[:count]) or self._data_fees
        snapshot = replace(advance.snapshot, data_fees=self._data_fees)
        return replace(advance, snapshot=snapshot, beside=advance.beside[count:])

    async def advance_to_head(self, sync: BookSync) -> Advance:
        """The newest block, for a program that decides on one block only.

        Reads it until the price guard knows all that it asks for, which a running keeper learns in its first blocks.
        """
        head = await self._session.chain.reader.head()
        calls = self.calls()
        for _ in range(_MOST_READS):
            advance = await self._read(sync, head)
            head = advance.snapshot.block
            self._judge(advance, self._protocol.prices(advance.snapshot, head.timestamp))
            known = set(calls)
            calls = self.calls()
            if known.issuperset(calls):
                break
        for block in reversed(sync.book.recent(_STEPS)):
            self._times.saw(block)
        return await self._read(sync, head)

    async def _read(self, sync: BookSync, head: BlockRef) -> Advance:
        sync.look_again()
        advance = await self.advance(sync, head)
        if advance is None:
            raise Transient(f"block {head} was replaced while it was read")
        return advance


def open_decider(session: Session, settings: Settings, emit: Emit) -> tuple[BookSync, Decider]:
    """The book of a session's accounts, and what decides on it, as the settings ask."""
    guard = PriceGuard(guard_policy(settings), emit)
    sync = BookSync(
        session.chain.reader,
        session.protocol,
        session.deployment.start_block,
        emit,
        settings.undo_blocks,
        settings.audit_accounts,
    )
    return sync, Decider(session, policy_of(settings), guard, native_price_of(settings), trade_limits_of(settings))


def _held_back(decision: Decision) -> Decision:
    """The decision with its plans among the rejected."""
    held = [
        Rejected(plan.account, Rejection.HOLD, decision.held, plan.opportunity.before.health_wad)
        for plan in decision.plans
    ]
    return replace(decision, plans=(), rejected=(*decision.rejected, *held))
