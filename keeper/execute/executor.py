"""The live executor: plans become intents, and every intent is followed until the chain has decided it."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from keeper.chain.ports import ChainReader, ChainSender, PrivateSender
from keeper.errors import InvariantBroken, OperatorError, Transient
from keeper.execute.admission import approvals, conflicts
from keeper.execute.admission.conflicts import Claims, Purse
from keeper.execute.admission.quarantine import Quarantine, is_assets, key_of
from keeper.execute.breakers.breakers import Name
from keeper.execute.breakers.monitor import Switchboard
from keeper.execute.execution import plan_made, rejected
from keeper.execute.journal.journal import Journal, JournalUnavailable
from keeper.execute.leadership.right import LeaseLost
from keeper.execute.signing.policy import SigningDesk
from keeper.execute.tx import nonces
from keeper.execute.tx.broadcaster import Hook, Wire
from keeper.execute.tx.confirmer import Follower
from keeper.execute.tx.fees import ceiling
from keeper.execute.tx.nonce_repair import Mender
from keeper.execute.tx.outcomes import Bookkeeper, NativePrice
from keeper.execute.tx.pending import Ledger
from keeper.execute.tx.requests import APPROVE, FILL, Draft, from_plan
from keeper.execute.tx.routing import Courier, Privacy
from keeper.execute.tx.simulator import Simulator
from keeper.model.chain import BlockRef
from keeper.model.events import ASSET_QUARANTINED, FUNDS_LOW, SIGNER_LIMITED, Emit, Event
from keeper.model.intent import IntentState
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
    desk: SigningDesk
    sender: ChainSender
    relays: PrivateSender | None = None
    privacy: Privacy | None = None


class Executor:
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
        switchboard: Switchboard,
        emit: Emit,
        native_price: NativePrice,
        hook: Hook = no_hook,
        *,
        holder: bytes = b"",
    ) -> None:
        self._journal = desks.journal
        self._desk = desks.desk
        self._holder = holder or desks.desk.address
        self._sender = desks.sender
        self._reader = reader
        self._protocol = protocol
        self._policy = policy
        self._switchboard = switchboard
        self._native_price = native_price
        self._chance = False  # something was worth sending since the last block
        self._quarantine = Quarantine()
        self._number = 0  # the newest block followed
        self._emit = emit
        self._ledger = Ledger()
        self._courier = Courier(desks.sender, desks.relays, desks.privacy)
        self._wire = Wire(desks.journal, desks.desk, self._courier, emit, self._ledger.keep, hook)
        self._simulator = Simulator(reader, protocol, self.address)
        books = Bookkeeper(protocol, self._simulator, self.address, native_price)
        mender = Mender(desks.journal, self._wire, desks.sender, self._ledger, policy, self._doubt_nonces)
        self._follower = Follower(
            desks.journal, self._wire, desks.sender, self._ledger, self._simulator, books, policy, mender
        )
        self._lock = asyncio.Lock()
        self._approved: frozenset[approvals.Pair] = frozenset()
        self._draining = False
        self._alone = False  # one transaction in flight at a time
        self._poor = False

    @property
    def address(self) -> bytes:
        return self._desk.address

    @property
    def held(self) -> str:
        return "the keeper is stopping" if self._draining else self._switchboard.reason

    @property
    def role(self) -> str:
        return "leads"

    def in_flight(self) -> InFlight:
        return replace(self._ledger.in_flight(), quarantined=self._quarantine.closed(self._number))

    def hold(self, reason: str, breaker: Name = Name.INVARIANT) -> None:
        self._switchboard.trip(breaker, reason)

    def wanted(self) -> None:
        self._chance = True

    def _doubt_nonces(self, reason: str) -> None:
        self.hold(reason, Name.NONCE)

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
            self._switchboard.begin(await self._wire.record(self._switchboard.book.load))
            self._follower.cancel_all = self._switchboard.killed
            self._ledger.keep_all(await self._wire.record(self._journal.open_intents))
            self._ledger.keep_all(await self._wire.record(self._journal.settled_since, self._follower.window(head)))
            self._check_life(chain_nonce, await self._wire.record(self._journal.consumed_nonce))
            await self._guarded(self._follower.resume(head))

    def _check_life(self, chain_nonce: int, consumed: int) -> None:
        """Nonces used deeper than any reorg cannot be free again: a fork began anew, or it is another chain."""
        if consumed >= chain_nonce and consumed not in {intent.nonce for intent in self._ledger.settled()}:
            raise OperatorError(
                f"KEEPER_DATABASE_URL: the journal saw nonce {consumed} used long ago, the chain counts {chain_nonce}: "
                "it went back (a fork that was started again?); use another KEEPER_DATA_DIR for this chain"
            )

    async def submit(self, plans: Sequence[Plan], snapshot: Snapshot, timestamp: int) -> list[Rejected]:
        if not plans:
            return []
        self._chance = True
        async with self._lock:
            self._follower.next_block_s = max(timestamp - snapshot.block.timestamp, 1)
            if why := self.held:
                return [rejected(plan, Rejection.HOLD, why) for plan in plans]
            try:
                return await self._guarded(self._submit(plans, snapshot.block, timestamp))
            except Transient as error:
                return [rejected(plan, Rejection.HOLD, f"not sent: {error}") for plan in plans]

    async def follow(self, snapshot: Snapshot) -> None:
        async with self._lock:
            self._number = snapshot.block.number
            self._switchboard.tick(snapshot.block)
            await self._guarded(self._exchange())
            await self._guarded(self._catch_up(snapshot))
            self._judge(snapshot)
            if self._switchboard.dirty:
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
        self._wire.close()
        self._switchboard.book.close()
        await self._desk.close()
        await self._courier.close()

    async def _guarded(self, work: Awaitable[T]) -> T:
        """No journal, no send; and nothing more after what must never happen. Raises what it caught."""
        try:
            return await work
        except LeaseLost:
            raise  # the journal is in good hands, and they must not be held
        except (JournalUnavailable, InvariantBroken) as error:
            self.hold(str(error), Name.JOURNAL if isinstance(error, JournalUnavailable) else Name.INVARIANT)
            raise

    async def _submit(self, plans: Sequence[Plan], known: BlockRef, timestamp: int) -> list[Rejected]:
        tokens = conflicts.token_balances(self._reader, known, self._holder, conflicts.tokens_of(plans))
        head, chain_nonce, native, held = await asyncio.gather(
            self._reader.head(), self._sender.nonce(self.address), self._reader.balance(self.address), tokens
        )
        chosen, refused = self._screen(plans, head, Purse(native, held))
        answers = await asyncio.gather(*(self._simulated(plan, head, timestamp) for plan in chosen))
        refused += [answer for answer in answers if answer]
        sound = [plan for plan, answer in zip(chosen, answers, strict=True) if answer is None]
        if why := self.held:  # asked to stop, or held, in the meantime
            return [*refused, *(rejected(plan, Rejection.HOLD, why) for plan in sound)]
        for plan in sound:
            self._emit(plan_made(plan, live=True))
        sound = await self._together(sound, head, timestamp)
        await self._launch(
            [from_plan(plan, ceiling(plan.bid, self._policy.max_fee), self._courier.route_of(plan)) for plan in sound],
            chain_nonce,
            head,
        )
        return refused

    def _screen(self, plans: Sequence[Plan], head: BlockRef, purse: Purse) -> tuple[list[Plan], list[Rejected]]:
        """Plans that may be simulated, and those that need no simulation to be left out."""
        taken, chosen, refused = Claims(self._ledger.in_flight(), purse, self._most), list[Plan](), list[Rejected]()
        for plan in plans:
            gas_limit = plan.opportunity.gas_limit
            if plan.planned_block < self._ledger.served(plan.account):
                refused.append(rejected(plan, Rejection.IN_FLIGHT, "one that was mined since it was planned"))
            elif self._ledger.cools(plan.account, head.number):
                refused.append(rejected(plan, Rejection.COOLING_DOWN, "its last attempt failed a moment ago"))
            elif gas_limit > self._desk.max_gas:
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
            revert = await self._simulator.refusal(plan.call, plan.opportunity.gas_limit, head, timestamp)
        except Transient as error:
            return rejected(plan, Rejection.HOLD, f"not simulated: {error}")
        if revert:
            return self._failed(plan, revert, head)
        self._quarantine.succeeded(key_of(plan.opportunity))
        return None

    async def _together(self, plans: list[Plan], head: BlockRef, timestamp: int) -> list[Plan]:
        """In batches where the policy wants them; one by one where the simulation refuses one of these."""
        made = packed(plans, self._policy.max_batch, self._desk.max_gas)
        batches = [plan for plan in made if plan.opportunity.kind == BATCH]
        answers = await asyncio.gather(*(self._simulated(batch, head, timestamp) for batch in batches))
        return plans if any(answers) else made

    def _failed(self, plan: Plan, revert: Revert, head: BlockRef) -> Rejected:
        if revert.action is not RevertAction.RETRY:
            self._ledger.cool(plan.account, head.number + self._policy.cooldown_blocks)
        if is_assets(revert):
            self._blame(key_of(plan.opportunity), plan.account, str(revert), head.number)
        return rejected(plan, Rejection.SIMULATION_FAILED, str(revert))

    def _blame(self, key: str, account: bytes, reason: str, number: int, sure: bool = False) -> None:
        """Count what may be the asset's fault, and say when it is left alone for it."""
        if until := self._quarantine.failed(key, account, reason, number, sure):
            message = f"{key} is left alone until block {until}: {reason}"
            fields = {"subject": key, "reason": reason, "until_block": until}
            self._emit(Event(ASSET_QUARANTINED, message, number, fields))

    async def _launch(self, drafts: Sequence[Draft], chain_nonce: int, block: BlockRef) -> None:
        if not drafts:
            return
        consumed = await self._wire.record(self._journal.consumed_nonce)
        given = nonces.allocate(len(drafts), chain_nonce, consumed, self._ledger.nonces())
        for intent in await self._wire.launch(drafts, given, block.number):
            if intent.state is IntentState.DROPPED:
                self._ledger.cool_all(members(intent), block.number + self._policy.cooldown_blocks)
        if self._wire.limited and not self._alone:
            self._go_alone("a node takes no more of this signer")

    async def _catch_up(self, snapshot: Snapshot) -> None:
        """What an earlier run approved may have to be replaced: it must be signable before anything is followed."""
        self._desk.allow(frozenset(self._protocol.allowances(snapshot.state)))
        await self._follower.follow(snapshot)

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
            drafts = drafts[: max(self._most - len(self._ledger.open()), 0)]
            if drafts:
                await self._launch(drafts, await self._sender.nonce(self.address), block)
        except JournalUnavailable:
            raise
        except Transient:
            return  # the next block asks again

    async def _grantable(self, draft: Draft, block: BlockRef) -> bool:
        """Not on its way, not refused a moment ago, and the token takes it."""
        token = draft.call.to
        on_its_way = any(intent.kind == APPROVE and intent.to == token for intent in self._ledger.open())
        if on_its_way or self._ledger.cools(token, block.number):
            return False
        revert = await self._simulator.refusal(draft.call, draft.gas_limit, block, block.timestamp + 1)
        if revert:
            self._ledger.cool(token, block.number + self._policy.cooldown_blocks)
        return revert is None

    async def _exchange(self) -> None:
        """Breakers to the journal and back: people close them there, and pull the kill switch."""
        changes = self._switchboard.take_changes()
        try:
            found = await self._wire.record(self._switchboard.book.exchange, *changes)
        except JournalUnavailable:
            self._switchboard.give_back(changes)
            raise
        self._switchboard.adopt(found)
        self._follower.cancel_all = self._switchboard.killed

    def _judge(self, snapshot: Snapshot) -> None:
        """What the block's outcomes mean for sending on."""
        ended, waiting = self._follower.take_ended(), self._ledger.open()
        self._switchboard.ended(ended, self._native_price(snapshot))
        self._switchboard.cancelling(len(waiting))
        for intent in ended:
            told = intent.outcome.reason if intent.outcome and intent.kind != BATCH else ""
            if intent.state is IntentState.MINED and told:
                self._blame(key_of(intent), intent.account, told, snapshot.block.number, sure=True)
        chance = self._chance or any(intent.kind not in (APPROVE, FILL) for intent in waiting)
        self._switchboard.chances(chance, any(intent.state is IntentState.MINED for intent in ended))
        self._chance = False
