"""The live executor: plans become intents, and every intent is followed until the chain has decided it."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from keeper.chain.balances import token_balances
from keeper.chain.ports import ChainReader, ChainSender, PrivateSender
from keeper.errors import InvariantBroken, JournalUnavailable, OperatorError, Transient, Unwritable
from keeper.execute.admission import approvals
from keeper.execute.admission.conflicts import Balances, Reservations, tokens_of
from keeper.execute.admission.quarantine import Quarantine, is_assets, key_of
from keeper.execute.breakers.monitor import BreakerMonitor
from keeper.execute.execution import plan_made, rejected
from keeper.execute.journal.journal import Journal
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.tx import nonces
from keeper.execute.tx.broadcaster import Broadcaster, Hook
from keeper.execute.tx.confirmer import Confirmer
from keeper.execute.tx.fees import max_bid
from keeper.execute.tx.nonce_repair import NonceRepair
from keeper.execute.tx.outcomes import NativePrice, OutcomeBuilder
from keeper.execute.tx.pending import PendingIntents
from keeper.execute.tx.requests import from_plan
from keeper.execute.tx.routing import RelayPolicy, Router
from keeper.execute.tx.simulator import Simulator
from keeper.model.breaker import BreakerName
from keeper.model.chain import BlockRef
from keeper.model.events import ASSET_QUARANTINED, FUNDS_LOW, SIGNER_LIMITED, Emit, Event
from keeper.model.intent import APPROVE, FILL, IntentState, TxRequest
from keeper.model.plan import InFlight, Plan, Policy, Rejected, Rejection
from keeper.protocols.base import Protocol, Revert, RevertAction, Snapshot
from keeper.protocols.executor.batching import BATCH, members, packed

T = TypeVar("T")


def no_hook(_: str) -> None:
    """Crash points are for tests."""


@dataclass(frozen=True, slots=True)
class Desks:
    """What only a live executor has: who signs, who sends, and where it is written down first."""

    journal: Journal
    signer: PolicySigner
    sender: ChainSender
    relays: PrivateSender | None = None
    privacy: RelayPolicy | None = None


class LiveExecution:
    """One signer's transactions. All its work is serial: one lock covers each submission and each block.

    `native_price`: dollars (1e18) of the native coin at a snapshot, for the books. `holder`: whose tokens the plans
    spend, the signer's where it is not given.
    """

    def __init__(
        self,
        desks: Desks,
        reader: ChainReader,
        protocol: Protocol,
        policy: Policy,
        monitor: BreakerMonitor,
        emit: Emit,
        native_price: NativePrice,
        hook: Hook = no_hook,
        *,
        holder: bytes = b"",
    ) -> None:
        self._journal = desks.journal
        self._signer = desks.signer
        self._holder = holder or desks.signer.address
        self._sender = desks.sender
        self._reader = reader
        self._protocol = protocol
        self._policy = policy
        self._monitor = monitor
        self._native_price = native_price
        self._chance = False  # something was worth sending since the last block
        self._quarantine = Quarantine()
        self._number = 0  # the newest block followed
        self._emit = emit
        self._pending = PendingIntents()
        self._router = Router(desks.sender, desks.relays, desks.privacy)
        self._broadcaster = Broadcaster(desks.journal, desks.signer, self._router, emit, self._pending.keep, hook)
        self._simulator = Simulator(reader, protocol, self.address)
        outcomes = OutcomeBuilder(protocol, self._simulator, self.address, native_price)
        nonce_repair = NonceRepair(
            desks.journal, self._broadcaster, desks.sender, self._pending, policy, self._doubt_nonces
        )
        self._confirmer = Confirmer(
            desks.journal,
            self._broadcaster,
            desks.sender,
            self._pending,
            self._simulator,
            outcomes,
            policy,
            nonce_repair,
        )
        self._lock = asyncio.Lock()
        self.took_over = asyncio.Event()
        self._approved: frozenset[approvals.Pair] = frozenset()
        self._draining = False
        self._alone = False  # one transaction in flight at a time
        self._poor = False

    @property
    def address(self) -> bytes:
        return self._signer.address

    @property
    def held(self) -> str:
        return "the keeper is stopping" if self._draining else self._monitor.reason

    @property
    def pending(self) -> int:
        return self._pending.count

    @property
    def role(self) -> str:
        return "leads"

    def in_flight(self) -> InFlight:
        return replace(self._pending.in_flight(), quarantined=self._quarantine.closed(self._number))

    def hold(self, reason: str, breaker: BreakerName = BreakerName.INVARIANT) -> None:
        self._monitor.trip(breaker, reason)

    def wanted(self) -> None:
        self._chance = True

    def _doubt_nonces(self, reason: str) -> None:
        self.hold(reason, BreakerName.NONCE)

    async def recover(self) -> None:
        """Start-up, after a crash or not: what never left is dropped, the rest is sent again or cancelled.

        Raises Transient when the chain's head cannot be read, OperatorError when the journal is of another chain.
        """
        async with self._lock:
            head, code, chain_nonce = await asyncio.gather(
                self._reader.head(), self._reader.code(self.address), self._sender.nonce(self.address)
            )
            if code:
                self._go_alone("the signer is delegated to a contract (EIP-7702)")
            self._monitor.begin(await self._broadcaster.journal_call(self._monitor.book.load))
            self._confirmer.cancel_all = self._monitor.killed
            self._pending.keep_all(await self._broadcaster.journal_call(self._journal.open_intents))
            self._pending.keep_all(
                await self._broadcaster.journal_call(self._journal.settled_since, self._confirmer.window(head))
            )
            self._check_life(chain_nonce, await self._broadcaster.journal_call(self._journal.consumed_nonce))
            await self._guarded(self._confirmer.resume(head))

    def _check_life(self, chain_nonce: int, consumed: int) -> None:
        """Nonces used deeper than any reorg cannot be free again: a fork began anew, or it is another chain."""
        if consumed >= chain_nonce and consumed not in {intent.nonce for intent in self._pending.settled()}:
            raise OperatorError(
                f"KEEPER_DATABASE_URL: the journal saw nonce {consumed} used long ago, the chain counts {chain_nonce}: "
                "it went back (a fork that was started again?); use another KEEPER_DATA_DIR for this chain"
            )

    async def submit(self, plans: Sequence[Plan], snapshot: Snapshot, timestamp: int) -> list[Rejected]:
        if not plans:
            return []
        self._chance = True
        async with self._lock:
            self._confirmer.next_block_s = max(timestamp - snapshot.block.timestamp, 1)
            if why := self.held:
                return [rejected(plan, Rejection.HOLD, why) for plan in plans]
            try:
                return await self._guarded(self._submit(plans, snapshot.block, timestamp))
            except Transient as error:
                return [rejected(plan, Rejection.HOLD, f"not sent: {error}") for plan in plans]

    async def follow(self, snapshot: Snapshot) -> None:
        async with self._lock:
            self._number = snapshot.block.number
            self._monitor.tick(snapshot.block)
            await self._guarded(self._exchange())
            await self._guarded(self._catch_up(snapshot))
            self._judge(snapshot)
            if self._monitor.dirty:
                await self._guarded(self._exchange())
            if not self.held:
                await self._guarded(self._approve(snapshot))

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
        self._monitor.book.close()
        await self._signer.close()
        await self._router.close()

    async def _guarded(self, work: Awaitable[T]) -> T:
        """No journal, no send; and nothing more after what must never happen. Raises what it caught."""
        try:
            return await work
        except JournalUnavailable as error:
            self.hold(str(error), BreakerName.JOURNAL)
            raise
        except InvariantBroken as error:
            self.hold(str(error))
            raise

    async def _submit(self, plans: Sequence[Plan], known: BlockRef, timestamp: int) -> list[Rejected]:
        tokens = token_balances(self._reader, known, self._holder, tokens_of(plans))
        head, chain_nonce, native, held = await asyncio.gather(
            self._reader.head(), self._sender.nonce(self.address), self._reader.balance(self.address), tokens
        )
        chosen, refused = self._screen(plans, head, Balances(native, held))
        answers = await asyncio.gather(*(self._simulated(plan, head, timestamp) for plan in chosen))
        refused += [answer for answer in answers if answer]
        sound = [plan for plan, answer in zip(chosen, answers, strict=True) if answer is None]
        if why := self.held:  # asked to stop, or held, in the meantime
            return [*refused, *(rejected(plan, Rejection.HOLD, why) for plan in sound)]
        for plan in sound:
            self._emit(plan_made(plan, live=True))
        sound = await self._together(sound, head, timestamp)
        await self._launch(
            [from_plan(plan, max_bid(plan.bid, self._policy.max_fee), self._router.route_of(plan)) for plan in sound],
            chain_nonce,
            head,
        )
        return refused

    def _screen(self, plans: Sequence[Plan], head: BlockRef, balances: Balances) -> tuple[list[Plan], list[Rejected]]:
        """Plans that may be simulated, and those that need no simulation to be left out."""
        taken, chosen, refused = (
            Reservations(self._pending.in_flight(), balances, self._most),
            list[Plan](),
            list[Rejected](),
        )
        for plan in plans:
            gas_limit = plan.opportunity.gas_limit
            if plan.planned_block < self._pending.last_block_for(plan.account):
                refused.append(rejected(plan, Rejection.IN_FLIGHT, "one that was mined since it was planned"))
            elif self._pending.cools(plan.account, head.number):
                refused.append(rejected(plan, Rejection.COOLING_DOWN, "its last attempt failed a moment ago"))
            elif gas_limit > self._signer.max_gas:
                refused.append(rejected(plan, Rejection.BLOCK_GAS, f"a gas limit of {gas_limit} is never signed"))
            elif conflict := taken.conflict(plan):
                refused.append(rejected(plan, *conflict))
            else:
                taken.take(plan)
                chosen.append(plan)
        self._watch_purse(taken.shortage, head)
        return chosen, refused

    def _watch_purse(self, shortage: Mapping[str, str], head: BlockRef) -> None:
        """Say once that funds do not suffice; each plan looks at them again."""
        if shortage and not self._poor:
            message = f"not sent: may take {shortage['needed']} of {shortage['token']}, {shortage['balance']} are left"
            self._emit(Event(FUNDS_LOW, message, head.number, shortage))
        self._poor = bool(shortage)

    @property
    def _most(self) -> int:
        return 1 if self._alone else self._policy.max_in_flight

    def _go_alone(self, why: str) -> None:
        self._alone = True
        message = f"one transaction in flight at a time: {why}"
        self._emit(Event(SIGNER_LIMITED, message, None, {"reason": why}))

    async def _simulated(self, plan: Plan, head: BlockRef, timestamp: int) -> Rejected | None:
        try:
            revert = await self._simulator.why_it_reverts(plan.call, plan.opportunity.gas_limit, head, timestamp)
        except Transient as error:
            return rejected(plan, Rejection.HOLD, f"not simulated: {error}")
        if revert:
            return self._failed(plan, revert, head)
        self._quarantine.succeeded(key_of(plan.opportunity))
        return None

    async def _together(self, plans: list[Plan], head: BlockRef, timestamp: int) -> list[Plan]:
        """In batches where the policy wants them; one by one where the simulation refuses one of these."""
        made = packed(plans, self._policy.max_batch, self._signer.max_gas)
        batches = [plan for plan in made if plan.opportunity.kind == BATCH]
        answers = await asyncio.gather(*(self._simulated(batch, head, timestamp) for batch in batches))
        return plans if any(answers) else made

    def _failed(self, plan: Plan, revert: Revert, head: BlockRef) -> Rejected:
        if revert.action is not RevertAction.RETRY:
            self._pending.cool(plan.account, head.number + self._policy.cooldown_blocks)
        if is_assets(revert):
            self._blame(key_of(plan.opportunity), plan.account, str(revert), head.number)
        return rejected(plan, Rejection.SIMULATION_FAILED, str(revert))

    def _blame(self, key: str, account: bytes, reason: str, number: int, sure: bool = False) -> None:
        """Count what may be the asset's fault, and say when it is left alone for it."""
        if until := self._quarantine.failed(key, account, reason, number, sure):
            message = f"{key} is left alone until block {until}: {reason}"
            fields = {"subject": key, "reason": reason, "until_block": until}
            self._emit(Event(ASSET_QUARANTINED, message, number, fields))

    async def _launch(self, drafts: Sequence[TxRequest], chain_nonce: int, block: BlockRef) -> None:
        if not drafts:
            return
        consumed = await self._broadcaster.journal_call(self._journal.consumed_nonce)
        given = nonces.allocate(len(drafts), chain_nonce, consumed, self._pending.nonces())
        for intent in await self._broadcaster.launch(drafts, given, block.number):
            if intent.state is IntentState.DROPPED:
                self._pending.cool_all(members(intent), block.number + self._policy.cooldown_blocks)
        if self._broadcaster.limited and not self._alone:
            self._go_alone("a node takes no more of this signer")

    async def _catch_up(self, snapshot: Snapshot) -> None:
        """What an earlier run approved may have to be replaced: it must be signable before anything is followed."""
        self._signer.allow(frozenset(self._protocol.allowances(snapshot.state)))
        await self._confirmer.follow(snapshot)

    async def _approve(self, snapshot: Snapshot) -> None:
        """Grant what liquidations need, whenever the protocol names a pair that was not seen granted."""
        pairs = frozenset(self._protocol.allowances(snapshot.state))
        if pairs <= self._approved:
            return
        block = snapshot.block
        try:
            lacking = await approvals.missing(self._reader, block, self.address, pairs - self._approved)
            self._approved |= pairs.difference(lacking)
            drafts = [approvals.approval(pair, self.address, block, self._policy) for pair in lacking]
            drafts = [draft for draft in drafts if await self._grantable(draft, block)]
            drafts = drafts[: max(self._most - len(self._pending.open()), 0)]
            if drafts:
                await self._launch(drafts, await self._sender.nonce(self.address), block)
        except Transient:
            return  # the next block asks again

    async def _grantable(self, draft: TxRequest, block: BlockRef) -> bool:
        """Not on its way, not refused a moment ago, and the token takes it."""
        token = draft.call.to
        on_its_way = any(intent.kind == APPROVE and intent.to == token for intent in self._pending.open())
        if on_its_way or self._pending.cools(token, block.number):
            return False
        revert = await self._simulator.why_it_reverts(draft.call, draft.gas_limit, block, block.timestamp + 1)
        if revert:
            self._pending.cool(token, block.number + self._policy.cooldown_blocks)
        return revert is None

    async def _exchange(self) -> None:
        """Breakers to the journal and back: people close them there, and pull the kill switch."""
        changes = self._monitor.take_changes()
        try:
            found = await self._broadcaster.journal_call(self._monitor.book.exchange, *changes)
        except Unwritable:
            self._monitor.give_back(changes)
            raise
        self._monitor.adopt(found)
        self._confirmer.cancel_all = self._monitor.killed

    def _judge(self, snapshot: Snapshot) -> None:
        """What the block's outcomes mean for sending on."""
        ended, waiting = self._confirmer.take_ended(), self._pending.open()
        self._monitor.ended(ended, self._native_price(snapshot))
        self._monitor.cancelling(len(waiting))
        for intent in ended:
            told = intent.outcome.reason if intent.outcome and intent.kind != BATCH else ""
            if intent.state is IntentState.MINED and told:
                self._blame(key_of(intent), intent.account, told, snapshot.block.number, sure=True)
        chance = self._chance or any(intent.kind not in (APPROVE, FILL) for intent in waiting)
        self._monitor.chances(chance, any(intent.state is IntentState.MINED for intent in ended))
        self._chance = False
