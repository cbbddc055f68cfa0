"""Follows what is on its way, block by block, until it is mined: book, bump, cancel, send again."""

import asyncio
from collections.abc import Mapping
from enum import Enum

from keeper.errors import InvariantBroken, JournalAltered, Transient
from keeper.execute.tx.broadcaster import OUTBID, USED, Broadcaster, described, identity
from keeper.execute.tx.crash_points import CrashPoint
from keeper.execute.tx.fees import bumped_fees, call_fees, fee_until_deadline, max_bid, next_base
from keeper.execute.tx.nonce_repair import NonceRepair
from keeper.execute.tx.outcomes import OutcomeBuilder, Result, booked_event
from keeper.execute.tx.pending import highest
from keeper.execute.tx.routing import is_private
from keeper.execute.tx.simulator import UNFUNDED, Simulator
from keeper.execute.tx.turn import Turn
from keeper.model.chain import BlockRef, Call, Receipt, hexed
from keeper.model.events import TX_REORGED, TX_STUCK, Event
from keeper.model.intent import FILL, Attempt, Ended, Intent, IntentState, SendStatus
from keeper.model.plan import Policy
from keeper.protocols.base import Snapshot
from keeper.protocols.executor.batching import members

REORG_WINDOW = 128  # blocks in which an outcome is checked again when heads do not link up
PATIENCE = 2  # blocks before an attempt is bumped or looked for in the pool

KILLED = "the kill switch is on"


class Look(Enum):
    """What the search for a receipt found, where the intent has not ended."""

    WAITING = "waiting"  # not mined
    UNSURE = "unsure"  # no answer, or mined in a block that is not the snapshot's


class Confirmer:
    """Gets each open intent mined or cancelled. One lock of the execution covers all its work."""

    def __init__(
        self,
        broadcaster: Broadcaster,
        simulator: Simulator,
        outcomes: OutcomeBuilder,
        policy: Policy,
        nonce_repair: NonceRepair,
    ) -> None:
        self._broadcaster = broadcaster
        self._journal = broadcaster.journal
        self._sender = broadcaster.router.sender
        self._pending = broadcaster.pending
        self._emit = broadcaster.emit
        self._simulator = simulator
        self._outcomes = outcomes
        self._policy = policy
        self._nonce_repair = nonce_repair
        self._last: BlockRef | None = None
        self._ended: list[Ended] = []
        self._broken: list[InvariantBroken] = []

    @staticmethod
    def window(head: BlockRef) -> int:
        """Number of the oldest block whose outcomes a reorg may still undo."""
        return head.number - REORG_WINDOW

    def take_ended(self) -> list[Ended]:
        """The intents that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def take_broken(self) -> list[InvariantBroken]:
        """What was found altered in the journal, or must not be signed, since the last call."""
        broken, self._broken = self._broken, []
        return broken

    def set_aside(self, error: JournalAltered) -> None:
        """Leave an intent alone whose rows were altered; the others go on."""
        self._broken.append(error)
        self._pending.set_aside(error.intent_id)

    async def resume(self, turn: Turn) -> None:
        """Continue with what an earlier run left open: drop, send again or cancel."""
        for intent in self._pending.followed():
            try:
                if intent.state is IntentState.RESERVED:
                    await self._broadcaster.drop(intent, "it was never signed")
                elif await self._receipt(intent) is None:
                    await self._resend(intent, turn)
            except Transient:
                continue  # no answer: the first block looks again
            except JournalAltered as error:
                self.set_aside(error)

    async def _resend(self, intent: Intent, turn: Turn) -> None:
        late = turn.number >= intent.deadline_block
        if (late or turn.killed) and intent.state is not IntentState.CANCELLING:
            why = "the deadline passed while the keeper was down" if late else KILLED
            await self._cancel(intent, turn, why)
        else:
            await self._broadcaster.rebroadcast(intent, turn.number)

    async def follow(self, snapshot: Snapshot, turn: Turn) -> None:
        """Do one block's work. Where a node does not answer, the intent waits for the next block."""
        block = snapshot.block
        await self._reopen_reorged(block)
        self._pending.forget(block.number, self.window(block))
        if waiting := await self._book(snapshot):
            try:
                chain_nonce = await self._sender.nonce(self._outcomes.keeper)
            except Transient:
                return
            for intent in waiting:
                await self._advance(intent, turn, chain_nonce)
            await self._nonce_repair.fill_gaps(block, chain_nonce)

    # Booking.

    async def _receipt(self, intent: Intent) -> tuple[Attempt, Receipt] | None:
        """The attempt that was mined, with its receipt. Raises Transient."""
        for attempt in reversed(intent.attempts):
            if receipt := await self._sender.receipt(attempt.tx_hash):
                return attempt, receipt
        return None

    async def _book(self, snapshot: Snapshot) -> list[Intent]:
        """Book what was mined up to the snapshot, in one commit. Returns the intents that are not mined."""
        intents = self._pending.followed()
        found = await asyncio.gather(*(self._look(intent, snapshot) for intent in intents))
        results = {intent.id: end for intent, end in zip(intents, found, strict=True) if isinstance(end, Result)}
        reasons = {intent.id: self._pending.state(intent).cancelled_for or "its deadline passed" for intent in intents}
        for intent in await self._settle(results):
            result = results[intent.id]
            self._pending.keep(intent)
            self._ended.append(Ended(intent, result.failed, result.lost))
            why = "it filled a nonce gap" if intent.kind == FILL else reasons[intent.id]
            self._emit(booked_event(intent, why))
            if intent.state is not IntentState.MINED and not result.retry:
                self._pending.cool_all(members(intent), snapshot.block.number + self._policy.cooldown_blocks)
        return [intent for intent, end in zip(intents, found, strict=True) if end is Look.WAITING]

    async def _settle(self, results: Mapping[int, Result]) -> list[Intent]:
        ends = [(intent_id, result.state, result.outcome) for intent_id, result in results.items()]
        while ends:
            try:
                settled = await self._broadcaster.journal_call(self._journal.settle, ends)
            except JournalAltered as error:
                self.set_aside(error)
                left = [end for end in ends if end[0] != error.intent_id]
                ends = left if left != ends else []  # where it is not known which one, none is settled
            else:
                self._broadcaster.hook(CrashPoint.SETTLED)
                return settled
        return []

    async def _look(self, intent: Intent, snapshot: Snapshot) -> Result | Look:
        """How an intent ended; one mined after the snapshot's block is booked in that later block."""
        block = snapshot.block
        try:
            found = await self._receipt(intent)
            if found is None:
                return Look.WAITING
            attempt, receipt = found
            elsewhere = receipt.block_number == block.number and receipt.block_hash != block.hash
            if receipt.block_number > block.number or elsewhere:
                return Look.UNSURE
            return await self._outcomes.book(intent, attempt, receipt, snapshot)
        except Transient:
            return Look.UNSURE

    async def _reopen_reorged(self, block: BlockRef) -> None:
        """Reopen what a reorg dropped. While each head's parent is the last one, no node is asked."""
        last, self._last = self._last, block
        if last is not None and last.hash in (block.hash, block.parent):
            return
        for intent in self._pending.settled():
            outcome = intent.outcome
            assert outcome is not None
            try:
                receipt = await self._sender.receipt(outcome.tx_hash)
            except Transient:
                self._last = None  # look again in the next block
                continue
            if receipt is None or receipt.block_hash != outcome.block_hash:
                try:
                    self._pending.keep(await self._broadcaster.journal_call(self._journal.reopen, intent))
                except JournalAltered as error:
                    self.set_aside(error)
                    continue
                fields = {**identity(intent), "hash": hexed(outcome.tx_hash)}
                gone = f"a reorg removed block {outcome.block_number}, which had mined it"
                message = f"tx in flight again: {described(intent)}: {gone}"
                self._emit(Event(TX_REORGED, message, block.number, fields))

    # Getting it mined.

    async def _advance(self, intent: Intent, turn: Turn, chain_nonce: int) -> None:
        """Do what one block requires for an intent that is not mined."""
        try:
            if intent.state is IntentState.RESERVED:
                await self._broadcaster.drop(intent, "it was never signed")
            elif chain_nonce > intent.nonce:
                if ended := await self._nonce_repair.check_superseded(intent, turn.block):
                    self._pending.keep(ended)
                    self._ended.append(Ended(ended))
            elif self._pending.state(intent).too_high and turn.number < intent.deadline_block:
                await self._nonce_repair.repair_too_high(intent, turn.block)
            else:
                unsure = self._pending.state(intent).unconfirmed and not is_private(intent)
                await self._unstick(
                    await self._broadcaster.rebroadcast(intent, turn.number) if unsure else intent, turn
                )
        except Transient:
            return
        except JournalAltered as error:
            self.set_aside(error)
        except InvariantBroken as error:  # it is still followed, and cancelled at its deadline
            self._broken.append(error)

    async def _unstick(self, intent: Intent, turn: Turn) -> None:
        """Bump or resend the transaction, or cancel it at its deadline or when the kill switch is on."""
        if intent.state is IntentState.CANCELLING:
            if self._is_due(intent, turn):
                await self._bump(intent, turn, self._policy.max_fee, cancels=True)
        elif turn.killed or turn.number >= intent.deadline_block:
            await self._cancel(intent, turn, KILLED if turn.killed else "its deadline passed")
        elif is_private(intent) or self._is_due(intent, turn):
            await self._resimulate_and_bump(intent, turn)

    def _is_due(self, intent: Intent, turn: Turn) -> bool:
        return self._is_underpriced(intent, turn) or self._is_old(intent, turn)

    def _is_underpriced(self, intent: Intent, turn: Turn) -> bool:
        return next_base(turn.block, self._policy) > intent.attempts[-1].max_fee

    def _is_old(self, intent: Intent, turn: Turn) -> bool:
        return turn.number - intent.attempts[-1].signed_block >= PATIENCE

    async def _resimulate_and_bump(self, intent: Intent, turn: Turn) -> None:
        """Simulate again; cancel what would revert, send what is private to relays again, bump the rest."""
        call = Call(intent.to, intent.data)
        block, fees = turn.block, call_fees(highest(intent.attempts), turn.block, self._policy)
        revert = await self._simulator.why_it_reverts(call, intent.gas_limit, block, turn.next_timestamp, fees)
        if revert and revert is not UNFUNDED:  # the signer may be funded before the deadline
            await self._cancel(intent, turn, str(revert))
        elif is_private(intent):
            await self._retry_relays(intent, turn)
        else:
            await self._bump(intent, turn, max_bid(intent.bid, self._policy.max_fee), cancels=False)

    async def _retry_relays(self, intent: Intent, turn: Turn) -> None:
        """Send to the relays in every block; after KEEPER_RELAY_BLOCKS publish at the same nonce, or cancel."""
        router = self._broadcaster.router
        if router.gave_up(intent, turn.number) or self._pending.state(intent).relays_refused:
            if not router.then_public:
                await self._cancel(intent, turn, "relays did not get it mined")
                return
            intent = await self._broadcaster.publish(intent)
        if not self._is_underpriced(intent, turn):
            await self._broadcaster.rebroadcast(intent, turn.number)
        elif not await self._bump_once(intent, turn, max_bid(intent.bid, self._policy.max_fee), cancels=False):
            self._report_stuck(intent, turn)

    async def _bump(self, intent: Intent, turn: Turn, limit: int, cancels: bool) -> None:
        """Send the same bytes again when the pool dropped them, else a higher fee; at `limit` (wei), wait."""
        if await self._resend_if_dropped(intent, turn) and not self._is_underpriced(intent, turn):
            return
        if not await self._bump_once(intent, turn, limit, cancels):
            self._report_stuck(intent, turn)

    async def _cancel(self, intent: Intent, turn: Turn, why: str) -> None:
        """Send a self-transfer at the same nonce. Where the fee cap forbids it, wait until one of them is mined."""
        self._pending.state(intent).cancelled_for = why
        if not await self._bump_once(intent, turn, self._policy.max_fee, cancels=True):
            self._report_stuck(intent, turn)
            await self._resend_if_dropped(intent, turn)
        await self._broadcaster.router.cancel_private(intent)

    async def _bump_once(self, intent: Intent, turn: Turn, limit: int, cancels: bool) -> bool:
        """Replace at higher fees, and once more at once where a node knows a higher fee. False at the limit.

        When nodes refuse the replacement, the older bytes are sent again, since the pool may have dropped them.
        """
        for _ in range(2):
            known = highest(intent.attempts)
            left = self._policy.deadline_blocks if cancels else intent.deadline_block - turn.number
            fees = bumped_fees(known, fee_until_deadline(turn.block, left, known.priority_fee, self._policy), limit)
            if fees is None:
                return False
            intent, reply = await self._broadcaster.replace(intent, fees, turn.number, cancels)
            if reply.reason != OUTBID:
                break
        if reply.status is SendStatus.REFUSED and reply.reason != USED:
            await self._broadcaster.rebroadcast(intent, turn.number, older=True)
        return True

    async def _resend_if_dropped(self, intent: Intent, turn: Turn) -> bool:
        """Send the same bytes again when the pool has none of this intent's. Returns whether it did."""
        if not self._is_old(intent, turn):
            return False
        for attempt in reversed(intent.attempts):
            if await self._sender.transaction(attempt.tx_hash) is not None:
                return False
        await self._broadcaster.rebroadcast(intent, turn.number)
        return True

    def _report_stuck(self, intent: Intent, turn: Turn) -> None:
        state = self._pending.state(intent)
        if state.stuck_reported:
            return
        state.stuck_reported = True
        fees = highest(intent.attempts)
        values = {"max_fee_wei": str(fees.max_fee), "base_fee_wei": str(turn.block.base_fee)}
        cap, base = f"{fees.max_fee / 1e9:.3f} gwei", f"{turn.block.base_fee / 1e9:.3f} gwei"
        message = f"tx stuck at its fee cap of {cap} (base fee {base}): {described(intent)}"
        self._emit(Event(TX_STUCK, message, turn.number, {**identity(intent), **values}))
