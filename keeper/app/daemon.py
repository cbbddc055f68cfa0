"""The composition root: builds every stage from the settings, and runs the loop."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from keeper.abi import checksum, load_abi
from keeper.app.decide import UNLIMITED, BlockTimes
from keeper.app.execution import Execution, build_execution
from keeper.app.policies import guard_policy, native_price_of, policy_of
from keeper.app.session import Session, open_session
from keeper.app.signers import signer_of
from keeper.app.stopping import DRAIN_S, finish_turn, or_stopped, until_stopped
from keeper.book.sync import Advance, BookSync
from keeper.chain.balances import token_balances
from keeper.clock import Clock, SystemClock
from keeper.errors import InvariantBroken, Transient, Unwritable
from keeper.execute.leadership.file_lock import make_data_dir
from keeper.model.assessment import Assessment
from keeper.model.breaker import BreakerName
from keeper.model.chain import BlockRef
from keeper.model.events import (
    BLOCK_SKIPPED,
    BOOK_PARITY_FAILED,
    FUNDS_LOW,
    JOURNAL_UNAVAILABLE,
    Emit,
    Event,
)
from keeper.model.plan import Funds, Rejected, Rejection
from keeper.observe.reporter import Reporter
from keeper.observe.state import KeeperState
from keeper.plan.planner import choose, unjudged
from keeper.protocols.base import PriceReading, Protocol, Snapshot
from keeper.risk.price_filter import PriceFilter, answers_by_contract
from keeper.risk.price_guard import PriceGuard
from keeper.risk.prices import price_events
from keeper.risk.screening import assess
from keeper.settings import Settings

_UNAFFORDABLE = (Rejection.FEE_CAP, Rejection.INSUFFICIENT_FUNDS)
_ERC20 = load_abi("IERC20Metadata")


class Daemon:
    """Watches one protocol and, when live, liquidates. One instance, one run."""

    def __init__(
        self, settings: Settings, emit: Emit, clock: Clock | None = None, state: KeeperState | None = None
    ) -> None:
        self.settings = settings
        self.policy = policy_of(settings)
        self.snapshot: Snapshot | None = None
        self.assessment: Assessment | None = None
        self.execution: Execution
        self._emit = emit
        self._clock = clock or SystemClock()
        self.state = state or KeeperState(self._clock)
        self._times = BlockTimes()
        self._native = native_price_of(settings)
        self._reporter = Reporter(settings.data_dir, settings.idle_s, emit, self._clock)
        self._prices: list[PriceReading] = []
        self._guard = PriceGuard(guard_policy(settings), emit)
        self._doubtful: PriceFilter | None = None
        self._broken = False
        self._poor = False
        self._turn = asyncio.Lock()

    async def run(self, stop: asyncio.Event, blocks: int | None = None) -> int:
        """The loop, until `stop` is set or `blocks` blocks were handled. Returns the exit code (0, or 5).

        Raises OperatorError when it cannot start.
        """
        async with AsyncExitStack() as stack:
            make_data_dir(self.settings.data_dir)
            signer = await asyncio.to_thread(signer_of, self.settings) if self.settings.live else None
            keeper = signer.address if signer else b""
            session = await or_stopped(stop, open_session(self.settings, self._emit, self._clock, keeper))
            if session is None:
                return 0
            stack.push_async_callback(session.chain.close)

            async def replan() -> None:
                await self._replan(session, self.execution)

            building = build_execution(
                self.settings,
                self.policy,
                session.chain,
                session.protocol,
                session.deployment,
                signer,
                self._emit,
                replan=replan,
            )
            execution = await or_stopped(stop, building)
            if execution is None:
                return 0
            stack.push_async_callback(execution.close)
            self.execution = self.state.sending = execution
            follower = BookSync(
                session.chain.reader,
                session.protocol,
                session.deployment.start_block,
                self._emit,
                self.settings.undo_blocks,
                self.settings.audit_accounts,
            )
            self._reporter.started(session.protocol.name, self.settings.chain_id, self.settings.live, execution.address)
            reason = "failed"
            try:
                reason = await self._loop(stop, blocks, session, execution, follower)
            finally:
                await execution.drain(DRAIN_S)
                self._reporter.stopped(reason)
        return 5 if self._broken else 0

    async def _loop(
        self, stop: asyncio.Event, blocks: int | None, session: Session, execution: Execution, follower: BookSync
    ) -> str:
        handled = 0
        heads = session.chain.heads(self.settings.poll_interval_s)
        async for head in until_stopped(stop, heads):
            try:
                turn = asyncio.ensure_future(self._block(head, session, execution, follower))
                handled += await finish_turn(turn, stop, execution)
            except (Transient, Unwritable) as error:
                kind = JOURNAL_UNAVAILABLE if isinstance(error, Unwritable) else BLOCK_SKIPPED
                self._emit(Event(kind, f"skipped block {head}: {error}", head.number, {"error": str(error)}))
                follower.look_again()
                heads.again(head)
            except InvariantBroken as error:
                if self.snapshot is None:
                    raise  # there is nothing to watch
                self._broken = True
                execution.hold(f"an invariant broke: {error}")
                handled += 1
            if blocks is not None and handled >= blocks:
                return f"{handled} blocks handled"
        return "asked to stop"

    async def _block(self, head: BlockRef, session: Session, execution: Execution, follower: BookSync) -> int:
        """One turn of the loop. Returns how many blocks were handled: 0 when the head brought nothing new."""
        async with self._turn:
            return await self._handle(head, session, execution, follower)

    async def _handle(self, head: BlockRef, session: Session, execution: Execution, follower: BookSync) -> int:
        started = time.perf_counter()
        advance = await follower.advance(head, self._guard.calls())
        if advance is None:
            return 0
        snapshot = advance.snapshot
        self.state.block = snapshot.block
        self._times.saw(snapshot.block)
        timestamp = self._times.next_timestamp(snapshot.block)
        self._audit(advance, execution)
        await execution.follow(snapshot)
        assessment = self.state.assessment = assess(session.protocol, snapshot, timestamp)
        self._judge_prices(advance, timestamp, session.protocol)
        self._native.at(session.protocol, snapshot, timestamp)  # a name that no price has is told at once
        if assessment.unsafe:
            await self._liquidate(snapshot, assessment, timestamp, session, execution)
        else:
            self._reporter.rejected(unjudged(assessment), snapshot.block.number)
        self._reporter.block(advance.logs, snapshot.block, assessment, time.perf_counter() - started)
        self._reporter.state(
            snapshot.block, assessment, execution.in_flight().count, execution.held, self._prices, execution.role
        )
        self.snapshot, self.assessment = snapshot, assessment
        return 1

    async def _replan(self, session: Session, execution: Execution) -> None:
        """What a keeper that took over does at once: the last block's plans, for which the next may be too late."""
        async with self._turn:
            if self.snapshot is None or self.assessment is None or not self.assessment.unsafe:
                return
            timestamp = self._times.next_timestamp(self.snapshot.block)
            with suppress(Transient, Unwritable):
                await execution.follow(self.snapshot)  # what the other sent may be mined by now
                await self._liquidate(self.snapshot, self.assessment, timestamp, session, execution)

    async def _liquidate(
        self, snapshot: Snapshot, assessment: Assessment, timestamp: int, session: Session, execution: Execution
    ) -> None:
        if session.chain.problem:
            return  # the chain has said why nothing can be decided
        doubtful = self._doubtful
        if doubtful is None or doubtful.snapshot.block != snapshot.block:
            return
        sure, held = doubtful.without_held(assessment)
        funds = await self._funds(snapshot, timestamp, session, execution)
        in_flight = execution.in_flight()
        while True:
            schedule = choose(session.protocol, snapshot, sure, timestamp, self.policy, funds, in_flight)
            sure, unworthy = doubtful.without_unprofitable(schedule.plans, sure, self.policy.min_profit_wad)
            if not unworthy:
                break
            held += unworthy  # and once more without them, so that they take nobody's place
        if any(item.reason in _UNAFFORDABLE for item in schedule.rejected):
            execution.wanted()
        self._watch_purse(schedule.rejected, funds, snapshot.block)
        unsent = await execution.submit(schedule.plans, snapshot, timestamp)
        self._reporter.rejected([*schedule.rejected, *held, *unsent], snapshot.block.number)

    async def _funds(self, snapshot: Snapshot, timestamp: int, session: Session, execution: Execution) -> Funds:
        """Balances at the snapshot's block; without a signer the purse is taken for bottomless."""
        price = self._native.at(session.protocol, snapshot, timestamp)
        tokens = session.protocol.purse(snapshot.state)
        if execution.address is None:
            return Funds(UNLIMITED, price, dict.fromkeys(tokens, UNLIMITED))
        balances, native = await asyncio.gather(
            token_balances(session.chain.reader, snapshot.block, session.deployment.holder, tokens),
            session.chain.reader.balance(execution.address, snapshot.block),
        )
        in_flight = execution.in_flight()
        left = {token: max(amount - in_flight.spends.get(token, 0), 0) for token, amount in balances.items()}
        return Funds(max(native - in_flight.native, 0), price, left)

    def _watch_purse(self, rejected: Sequence[Rejected], funds: Funds, block: BlockRef) -> None:
        """Say once that plans are left out for want of funds; each block looks again."""
        short = next((item for item in rejected if item.reason is Rejection.INSUFFICIENT_FUNDS), None)
        if short and not self._poor:
            fields = {"token": "", "balance": str(funds.native), "needed": short.message}
            self._emit(
                Event(FUNDS_LOW, f"{checksum(short.account)} is left out, {short.message}", block.number, fields)
            )
        self._poor = short is not None

    def _judge_prices(self, advance: Advance, timestamp: int, protocol: Protocol) -> None:
        """Say what is wrong with the block's prices, and keep what that means for accounts."""
        snapshot = advance.snapshot
        prices = protocol.prices(snapshot, timestamp)
        for event in price_events(prices, self._prices, self.settings.max_price_move, snapshot.block.number):
            self._emit(event)
        self._prices = prices
        answers = answers_by_contract(protocol.reads(snapshot.state), advance.answers)
        verdict = self._guard.judge(snapshot.block, prices, answers, advance.beside)
        self._doubtful = PriceFilter(protocol, snapshot, advance.answers, verdict, timestamp)

    def _audit(self, advance: Advance, execution: Execution) -> None:
        for mismatch in advance.mismatches:
            self._broken = True
            account = checksum(mismatch.account)
            message = f"local health of {account} differs from the contract's: {mismatch.difference}"
            fields = {"account": account, "difference": mismatch.difference}
            self._emit(Event(BOOK_PARITY_FAILED, message, advance.snapshot.block.number, fields))
            execution.hold(message, BreakerName.PARITY)
