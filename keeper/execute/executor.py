"""The live execution: plans become intents, and every intent is followed until the chain has decided it."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from keeper.errors import InvariantBroken, JournalAltered, JournalUnavailable, OperatorError, Transient, Unwritable
from keeper.execute.admission.approvals import Approvals
from keeper.execute.admission.gate import Gate
from keeper.execute.breakers.monitor import BreakerMonitor
from keeper.execute.capital import CapitalWatch, capital_missing, capital_untraced, described_missing
from keeper.execute.execution import plan_made, rejected
from keeper.execute.journal.comparison import check_account
from keeper.execute.tx import nonces
from keeper.execute.tx.broadcaster import Broadcaster
from keeper.execute.tx.confirmer import Confirmer
from keeper.execute.tx.fees import max_bid
from keeper.execute.tx.nonce_repair import NonceRepair
from keeper.execute.tx.outcomes import OutcomeBuilder
from keeper.execute.tx.requests import from_plan
from keeper.execute.tx.simulator import Simulator
from keeper.execute.tx.turn import Turn
from keeper.model.breaker import BreakerName
from keeper.model.capital import Capital
from keeper.model.chain import BlockRef, Call
from keeper.model.events import JOURNAL_ALTERED, JOURNAL_UNAVAILABLE, Event
from keeper.model.intent import APPROVE, FILL, Intent, IntentState, TxRequest
from keeper.model.plan import InFlight, Plan, Policy, Rejected, Rejection
from keeper.protocols.base import Snapshot
from keeper.protocols.executor.batching import members

T = TypeVar("T")


class LiveExecution:
    """One signer's transactions. All its work is serial: one lock covers each submission and each block.

    `holder`: whose tokens the plans spend, the signer's where it is not given. `capital`: what compares balances with
    the books, where that is wanted.
    """

    def __init__(
        self,
        broadcaster: Broadcaster,
        simulator: Simulator,
        outcomes: OutcomeBuilder,
        monitor: BreakerMonitor,
        policy: Policy,
        holder: bytes = b"",
    ) -> None:
        self._broadcaster = broadcaster
        self._journal = broadcaster.journal
        self._pending = broadcaster.pending
        self._emit = broadcaster.emit
        self._sender = broadcaster.router.sender
        self._reader = simulator.reader
        self._native_price = outcomes.native_price
        self._monitor = monitor
        self._policy = policy
        self._gate = Gate(broadcaster, simulator, policy, holder or self.address)
        self._approvals = Approvals(simulator, broadcaster.signer, self._pending, policy)
        nonce_repair = NonceRepair(broadcaster, policy, lambda reason: self.hold(reason, BreakerName.NONCE))
        self._confirmer = Confirmer(broadcaster, simulator, outcomes, policy, nonce_repair)
        self._turn = Turn(BlockRef(0, b"", b"", 0), next_block_s=1, killed=False)
        self._chance = False  # something was worth sending since the last block
        self._draining = False
        self.capital: CapitalWatch | None = None
        self._unread: list[Intent] = []  # taken up, their calldata not decoded yet
        self.broken = False
        self._lock = asyncio.Lock()
        self.took_over = asyncio.Event()

    @property
    def address(self) -> bytes:
        return self._broadcaster.signer.address

    @property
    def held(self) -> str:
        return "the keeper is stopping" if self._draining else self._monitor.reason

    @property
    def pending(self) -> int:
        return self._pending.count

    @property
    def role(self) -> str:
        return "leader"

    def in_flight(self) -> InFlight:
        return replace(self._pending.in_flight(), quarantined=self._gate.quarantined(self._turn.number))

    def hold(self, reason: str, breaker: BreakerName = BreakerName.INVARIANT) -> None:
        self._monitor.trip(breaker, reason, self._turn.block)

    def wanted(self) -> None:
        self._chance = True

    async def recover(self) -> None:
        """Start-up, after a crash or not: drop what was never sent, send the rest again or cancel it.

        Raises Transient when the chain's head cannot be read, OperatorError when the journal is of another chain.
        """
        async with self._lock:
            head, code, chain_nonce = await asyncio.gather(
                self._reader.head(), self._reader.code(self.address), self._sender.nonce(self.address)
            )
            if code:
                self._gate.limit_to_one("the signer is delegated to a contract (EIP-7702)")
            call = self._broadcaster.journal_call
            self._monitor.begin(await call(self._monitor.store.load), head)
            held, since = await self._last_capital(self._confirmer.window(head))
            commands = await call(self._monitor.store.commands) if self.capital else set[bytes]()
            taken = await self._guarded(call(self._journal.take_up, since, chain_nonce))
            self._pending.keep_all([*taken.open, *taken.settled])
            if self.capital:
                self.capital.begin(held, taken.settled, commands)
            self._pending.consume(taken.consumed)
            self._check_chain(chain_nonce)
            self._turn = Turn(head, self._turn.next_block_s, self._monitor.killed)
            for error in taken.altered:
                self._confirmer.set_aside(error)
            self._report_broken()
            self._unread = list(taken.open)
            await self._guarded(self._confirmer.resume(self._turn))
            self._report_broken()

    def _check_chain(self, chain_nonce: int) -> None:
        """Nonces used deeper than any reorg cannot be free again: a fork was restarted, or it is another chain."""
        consumed = self._pending.consumed
        if consumed >= chain_nonce and consumed not in {intent.nonce for intent in self._pending.settled()}:
            raise OperatorError(
                f"KEEPER_DATABASE_URL: journal has nonce {consumed} as mined, but the chain's next nonce is "
                f"{chain_nonce}: the chain was reset (a fork that was started again?); use another KEEPER_DATA_DIR for "
                "this chain"
            )

    async def submit(self, plans: Sequence[Plan], snapshot: Snapshot, timestamp: int) -> list[Rejected]:
        if not plans:
            return []
        self._chance = True
        async with self._lock:
            self._turn = replace(self._turn, next_block_s=max(timestamp - snapshot.block.timestamp, 1))
            if why := self.held:
                return [rejected(plan, Rejection.HOLD, why) for plan in plans]
            self._broadcaster.signer.see(snapshot, timestamp)
            try:
                return await self._guarded(self._submit(plans, snapshot.block, timestamp))
            except (Transient, JournalUnavailable, JournalAltered) as error:
                return [rejected(plan, Rejection.HOLD, f"not sent: {error}") for plan in plans]

    async def follow(self, snapshot: Snapshot) -> None:
        async with self._lock:
            block = snapshot.block
            self._turn = replace(self._turn, block=block)
            self._pending.data_fees = snapshot.data_fees
            self._monitor.tick(block)
            await self._guarded(self._exchange())
            with suppress(JournalAltered):  # reported and held: the next block goes on without that intent
                await self._guarded(self._catch_up(snapshot))
            self._judge(snapshot)
            if self._monitor.dirty:
                await self._guarded(self._exchange())
            if not self.held:
                with suppress(JournalAltered):
                    await self._guarded(self._approve(snapshot))

    async def reconcile(self, snapshot: Snapshot) -> None:
        watch, block = self.capital, snapshot.block
        if watch is None or not watch.is_due(block):
            return
        async with self._lock:
            found = await watch.look_in_time(snapshot, self._pending, self._turn.next_block_s)
            if found is None:
                return  # the next block looks again
            held, missing = found
            if watch.untraced:
                self._emit(capital_untraced(watch.untraced, block))
            for one in missing:
                self._emit(capital_missing(one, block))
            if missing:
                self.broken = True
                self.hold("capital left without a booked reason: " + "; ".join(map(described_missing, missing)))
            with suppress(JournalUnavailable):  # reported and held
                await self._guarded(self._broadcaster.journal_call(self._monitor.store.keep_capital, held))
                await self._guarded(self._exchange())

    async def _last_capital(self, since: int) -> tuple[Capital | None, int]:
        """What an earlier run saw last, and the block from which on outcomes are needed."""
        if self.capital is None:
            return None, since
        held = await self._broadcaster.journal_call(self._monitor.store.capital)
        return held, min(since, held.block_number + 1) if held else since

    async def drain(self, timeout_s: float) -> None:
        self._draining = True
        try:
            async with asyncio.timeout(timeout_s), self._lock:
                pass
        except TimeoutError:
            return

    async def close(self) -> None:
        self._draining = True
        self._broadcaster.close()
        self._monitor.store.close()
        await self._broadcaster.signer.close()
        await self._broadcaster.router.close()

    async def _guarded(self, work: Awaitable[T]) -> T:
        """Stop sending when the journal cannot be written or an invariant breaks. Raises what it caught."""
        try:
            return await work
        except JournalUnavailable as error:
            self._emit(Event(JOURNAL_UNAVAILABLE, str(error), self._turn.number, {"error": str(error)}))
            self.hold(str(error), BreakerName.JOURNAL)
            raise
        except JournalAltered as error:
            self._pending.set_aside(error.intent_id)
            self._hold_broken(error)
            raise
        except InvariantBroken as error:
            self._hold_broken(error)
            raise

    def _hold_broken(self, error: InvariantBroken) -> None:
        self.broken = True
        if isinstance(error, JournalAltered):
            fields = {"intent": error.intent_id, "error": str(error)}
            self._emit(Event(JOURNAL_ALTERED, str(error), self._turn.number, fields))
        self.hold(str(error))

    async def _submit(self, plans: Sequence[Plan], known: BlockRef, timestamp: int) -> list[Rejected]:
        head, chain_nonce, balances = await asyncio.gather(
            self._reader.head(), self._sender.nonce(self.address), self._gate.balances(plans, known)
        )
        admitted, refused = await self._gate.admit(plans, balances, head, timestamp)
        if why := self.held:  # asked to stop, or held, in the meantime
            return [*refused, *(rejected(plan, Rejection.HOLD, why) for plan in admitted)]
        for plan in admitted:
            self._emit(plan_made(plan, live=True))
        router, cap = self._broadcaster.router, self._policy.max_fee
        made = await self._gate.batched(admitted, head, timestamp)
        requests = [from_plan(plan, max_bid(plan.bid, cap), router.route_of(plan)) for plan in made]
        await self._launch(requests, chain_nonce, head)
        return refused

    async def _launch(self, requests: Sequence[TxRequest], chain_nonce: int, block: BlockRef) -> None:
        if not requests:
            return
        given = nonces.allocate(len(requests), chain_nonce, self._pending.consumed, self._pending.nonces())
        for intent in await self._broadcaster.launch(requests, given, block.number):
            if intent.state is IntentState.DROPPED:
                self._pending.cool_all(members(intent), block.number + self._policy.cooldown_blocks)
        if self._broadcaster.limited:
            self._gate.limit_to_one("a node accepts no more than one transaction of this signer")

    async def _catch_up(self, snapshot: Snapshot) -> None:
        """Allow the approvals first: one that an earlier run sent may have to be replaced."""
        self._approvals.permit(snapshot, self._turn.next_timestamp)
        self._read_accounts()
        try:
            await self._confirmer.follow(snapshot, self._turn)
        finally:
            self._report_broken()

    def _read_accounts(self) -> None:
        """With the first block's state, compare the accounts of what an earlier run left with its calldata."""
        unread, self._unread = self._unread, []
        for intent in unread:
            try:
                check_account(intent, self._broadcaster.signer.accounts_of(Call(intent.to, intent.data)))
            except JournalAltered as error:
                self._confirmer.set_aside(error)

    def _report_broken(self) -> None:
        """Stop sending for what was altered or must not be signed; everything else is still followed."""
        for error in self._confirmer.take_broken():
            self._hold_broken(error)

    async def _approve(self, snapshot: Snapshot) -> None:
        """Send the approvals that liquidations need and that are not granted yet."""
        try:
            requests = (await self._approvals.requests(snapshot))[: self._gate.room]
            if requests:
                await self._launch(requests, await self._sender.nonce(self.address), snapshot.block)
        except Transient:
            return  # the next block asks again

    async def _exchange(self) -> None:
        """Write the breakers to the journal and read them: operators close them there, and set the kill switch."""
        changes = self._monitor.take_changes()
        try:
            found = await self._broadcaster.journal_call(self._monitor.store.exchange, *changes)
        except Unwritable:
            self._monitor.give_back(changes)
            raise
        self._monitor.adopt(found, self._turn.block)
        self._turn = replace(self._turn, killed=self._monitor.killed)

    def _judge(self, snapshot: Snapshot) -> None:
        """Count the block's outcomes against the breakers and the quarantine."""
        block = snapshot.block
        ended, waiting = self._confirmer.take_ended(), self._pending.open()
        self._monitor.ended(ended, self._native_price(snapshot), block)
        self._monitor.cancelling(len(waiting), block)
        self._gate.judge(ended, block.number)
        if self.capital:
            self.capital.note(one.intent for one in ended)
        chance = self._chance or any(intent.kind not in (APPROVE, FILL) for intent in waiting)
        self._monitor.chances(chance, any(one.intent.state is IntentState.MINED for one in ended), block)
        self._chance = False
