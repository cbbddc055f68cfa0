"""The daemon: opens every stage that the settings ask for, and runs the loop."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from keeper.abi import checksum
from keeper.app.decide import Decider, Decision, open_decider
from keeper.app.execution import build_execution
from keeper.app.session import Session, open_session
from keeper.app.signers import signer_of
from keeper.app.stopping import DRAIN_S, finish_turn, or_stopped, until_stopped
from keeper.book.sync import Advance, BookSync
from keeper.chain.heads import Heads
from keeper.clock import Clock, SystemClock
from keeper.errors import InvariantBroken, Transient, Unwritable
from keeper.execute.execution import Execution
from keeper.execute.leadership.file_lock import make_data_dir
from keeper.model.breaker import BreakerName
from keeper.model.chain import BlockRef
from keeper.model.events import BLOCK_SKIPPED, BOOK_PARITY_FAILED, Emit, Event
from keeper.model.plan import Rejected
from keeper.observe.funds import FundsWatch
from keeper.observe.reporter import Reporter
from keeper.observe.state import KeeperState
from keeper.redact import Redactor
from keeper.risk.prices import price_events
from keeper.settings import Settings, secrets_of


@dataclass(frozen=True, slots=True)
class Stages:
    """Everything that one run has open."""

    session: Session
    heads: Heads
    sync: BookSync
    decider: Decider
    execution: Execution
    funds: FundsWatch


class Daemon:
    """Watches one protocol and, when live, liquidates. One instance, one run."""

    def __init__(
        self, settings: Settings, emit: Emit, clock: Clock | None = None, state: KeeperState | None = None
    ) -> None:
        self.settings = settings
        self.decision: Decision | None = None  # on the newest block that was handled
        self.stages: Stages | None = None  # once all are open
        self._emit = emit
        self._clock = clock or SystemClock()
        self.state = state or KeeperState(self._clock)
        self._reporter = Reporter(settings.data_dir, settings.idle_s, emit, self._clock, Redactor(secrets_of(settings)))
        self._broken = False
        self._turn = asyncio.Lock()  # one block at a time

    async def run(self, stop: asyncio.Event, blocks: int | None = None) -> int:
        """The loop, until `stop` is set or `blocks` blocks were handled. Returns the exit code (0, or 5).

        Raises OperatorError when it cannot start.
        """
        async with AsyncExitStack() as stack:
            stages = await or_stopped(stop, self._open(stack))
            if stages is None:
                return 0
            self.stages = stages
            self.state.sending = stages.execution
            name, address = stages.session.protocol.name, stages.execution.address
            self._reporter.started(name, self.settings.chain_id, self.settings.live, address)
            reason = "failed"
            try:
                reason = await self._loop(stages, stop, blocks)
            finally:
                await stages.execution.drain(DRAIN_S)
                self._reporter.stopped(reason)
        return 5 if self._broken or stages.execution.broken else 0

    async def _open(self, stack: AsyncExitStack) -> Stages:
        settings, emit = self.settings, self._emit
        make_data_dir(settings.data_dir)
        signer = await asyncio.to_thread(signer_of, settings) if settings.live else None
        session = await open_session(settings, emit, self._clock, signer.address if signer else b"")
        stack.push_async_callback(session.chain.close)
        execution = await build_execution(settings, session, signer, emit)
        stack.push_async_callback(execution.close)
        sync, decider = open_decider(session, settings, emit)
        heads = session.chain.heads(settings.poll_interval_s)
        funds = FundsWatch(session.deployment.means.keeper, session.deployment.holder, emit)
        return Stages(session, heads, sync, decider, execution, funds)

    async def _loop(self, stages: Stages, stop: asyncio.Event, blocks: int | None) -> str:
        """Every new head, in order. Returns why it ended."""
        handled = 0
        takeovers = asyncio.create_task(self._after_takeovers(stages))
        try:
            async for head in until_stopped(stop, stages.heads):
                try:
                    turn = asyncio.ensure_future(self._handle(stages, head))
                    handled += await finish_turn(turn, stop, stages.execution)
                except (Transient, Unwritable) as error:
                    self._skip(stages, head, error)
                except InvariantBroken as error:
                    if self.decision is None:
                        raise  # there is nothing to watch
                    self._broken = True
                    stages.execution.hold(f"an invariant broke: {error}")
                    handled += 1
                if blocks is not None and handled >= blocks:
                    return f"reached the --blocks limit of {blocks}"
        finally:
            takeovers.cancel()
        return "asked to stop"

    async def _handle(self, stages: Stages, head: BlockRef) -> int:
        """One turn of the loop. Returns how many blocks were handled: 0 when the head brought nothing new."""
        async with self._turn:
            started = time.perf_counter()
            advance = await stages.decider.advance(stages.sync, head)
            if advance is None:
                return 0
            execution = stages.execution
            self.state.block = advance.snapshot.block
            self._audit(execution, advance)
            await execution.follow(advance.snapshot)
            decision = await stages.decider.decide(advance, execution.in_flight(), execution.held)
            self.state.assessment = decision.assessment
            self._report_prices(decision)
            if decision.worth_sending:
                execution.wanted()
            unsent = await execution.submit(decision.plans, decision.snapshot, decision.timestamp)
            self._report(stages, decision, unsent)
            elapsed_s = time.perf_counter() - started
            await execution.reconcile(decision.snapshot)
            self._reporter.block(advance.logs, decision.block, decision.assessment, elapsed_s)
            self._reporter.state(decision.block, decision.assessment, execution, decision.prices)
            self.decision = decision
            return 1

    def _skip(self, stages: Stages, head: BlockRef, error: Transient | Unwritable) -> None:
        """Leave a block that could not be handled; its head is given again. The execution says what it cannot write."""
        if isinstance(error, Transient):
            self._emit(Event(BLOCK_SKIPPED, f"skipped block {head}: {error}", head.number, {"error": str(error)}))
        stages.sync.look_again()
        stages.heads.again(head)

    async def _after_takeovers(self, stages: Stages) -> None:
        """Handle the last block once more after each takeover: the next one may come too late for it."""
        while True:
            await stages.execution.took_over.wait()
            stages.execution.took_over.clear()
            async with self._turn:
                if self.decision is not None and self.decision.assessment.unsafe:
                    stages.sync.look_again()
                    stages.heads.once_more(self.decision.block)

    def _audit(self, execution: Execution, advance: Advance) -> None:
        """Send nothing more when the contract's own view of an account differs from the book's."""
        for mismatch in advance.mismatches:
            self._broken = True
            account = checksum(mismatch.account)
            message = f"local health of account {account} differs from the contract's: {mismatch.difference}"
            fields = {"account": account, "difference": mismatch.difference}
            self._emit(Event(BOOK_PARITY_FAILED, message, advance.snapshot.block.number, fields))
            execution.hold(message, BreakerName.PARITY)

    def _report_prices(self, decision: Decision) -> None:
        before = self.decision.prices if self.decision else ()
        for event in price_events(decision.prices, before, self.settings.max_price_move, decision.block.number):
            self._emit(event)

    def _report(self, stages: Stages, decision: Decision, unsent: list[Rejected]) -> None:
        rejected = [*decision.rejected, *unsent]
        self._reporter.rejected(rejected, decision.block.number)
        protocol, state = stages.session.protocol, decision.snapshot.state
        stages.funds.look(rejected, lambda: protocol.token_symbols(state), decision.block.number)
