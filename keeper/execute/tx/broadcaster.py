"""Signs an attempt, commits it to the journal, sends it once and records the reply. No other code sends bytes."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ParamSpec, TypeVar

from keeper.abi import checksum
from keeper.chain.replies import RELAY_REFUSED
from keeper.errors import InvariantBroken, Transient
from keeper.execute.journal.journal import Journal
from keeper.execute.signing.encoding import transaction_in
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.signer import UnsignedTx
from keeper.execute.tx.crash_points import CANCEL, FIRST, REPLACEMENT, CrashPoint, Hook, Steps, no_hook
from keeper.execute.tx.pending import PendingIntents
from keeper.execute.tx.requests import unsigned
from keeper.execute.tx.routing import Router
from keeper.model.chain import hexed
from keeper.model.events import (
    TX_CANCELLED,
    TX_PUBLISHED,
    TX_REFUSED,
    TX_REPLACED,
    TX_SENT,
    TX_UNKNOWN,
    Emit,
    Event,
    EventKind,
)
from keeper.model.fees import Fees
from keeper.model.intent import FILL, Attempt, Intent, IntentState, Route, SendResult, SendStatus, TxRequest

TRANSFER_GAS = 21_000
KNOWN = "already_known"
USED = "nonce_too_low"
OUTBID = "replacement_underpriced"
TOO_HIGH = "nonce_too_high"
IN_FLIGHT_LIMIT = "in_flight_limit"
# Refusals that say nothing against the transaction: it, or another at its nonce, may be in a pool or mined already, or
# the pool has no room now. The nonce is kept.
KEEPING = frozenset({KNOWN, USED, OUTBID, TOO_HIGH, "pool_full", RELAY_REFUSED})

Reply = tuple[Intent, Attempt, SendResult]
P = ParamSpec("P")
T = TypeVar("T")


def identity(intent: Intent) -> dict[str, object]:
    """The fields that every event of an intent carries."""
    return {"intent": intent.id, "account": checksum(intent.account), "nonce": intent.nonce}


def described(intent: Intent) -> str:
    """What a message says of an intent: what it does, for which account, at which nonce."""
    if intent.kind == FILL:
        return f"self-transfer that fills a nonce gap, nonce {intent.nonce}"
    return f"{intent.kind} {intent.subject}".rstrip() + f", account {checksum(intent.account)}, nonce {intent.nonce}"


class Broadcaster:
    """Uses journal, policy signer and sender in the only order that is safe.

    `pending` mirrors what it writes down. `hook` is called at each crash point. `limited`: a node takes one transaction
    of this signer at a time.
    """

    def __init__(
        self,
        journal: Journal,
        signer: PolicySigner,
        router: Router,
        emit: Emit,
        hook: Hook = no_hook,
    ) -> None:
        self.journal = journal
        self.signer = signer
        self.router = router
        self.emit = emit
        self.hook = hook
        self.pending = PendingIntents()
        self.limited = False
        self._thread = ThreadPoolExecutor(1, "journal")

    @property
    def transfer_gas(self) -> int:
        """Gas limit of a self-transfer, with what some rollups take for its data."""
        return TRANSFER_GAS + self.pending.data_fees.most_gas(0)

    async def journal_call(self, write: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call one of the journal's methods in its own thread, one after another."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: write(*args, **kwargs))

    def close(self) -> None:
        self._thread.shutdown()
        self.journal.close()

    async def launch(self, requests: Sequence[TxRequest], nonces: Sequence[int], block: int) -> list[Intent]:
        """Reserve, sign, commit and send new intents: one commit each for all of them, and all sends at once.

        What is signed comes from the requests, never from the journal. A signer that does not answer costs no nonce.
        Raises InvariantBroken when something must not be signed, JournalAltered when the journal has something else.
        """
        reserved = await self.journal_call(self.journal.reserve, list(zip(requests, nonces, strict=True)))
        self.pending.keep_all(reserved)
        self.hook(CrashPoint.RESERVED)
        attempts = list[Attempt]()
        for intent, request, nonce in zip(reserved, requests, nonces, strict=True):
            try:
                tx = unsigned(request, self.signer.chain_id, nonce)
                attempts.append(await self._sign(intent, tx, block, request.route, FIRST))
            except Transient as error:  # all later ones would wait behind a nonce gap
                for left in reserved[len(attempts) :]:
                    await self.drop(left, f"not signed: {error}")
                break
            except InvariantBroken:
                for unsent in reserved:
                    await self.drop(unsent, "the signing policy refused a transaction sent with it")
                raise
        sent = await self._commit_and_send(attempts, TX_SENT, FIRST)
        # Sent at once with others it may have overtaken them: once more, after them.
        return [
            await self.rebroadcast(intent, block) if self.pending.state(intent).too_high else intent
            for intent, _ in sent
        ]

    async def replace(self, intent: Intent, fees: Fees, block: int, cancels: bool) -> tuple[Intent, SendResult]:
        """Send another attempt at the same nonce with higher fees. Returns the intent and the node's reply."""
        route = Route.PUBLIC if cancels else intent.attempts[-1].route
        steps = CANCEL if cancels else REPLACEMENT
        attempt = await self._sign(intent, self._replacement(intent, fees, cancels), block, route, steps)
        return (await self._commit_and_send([attempt], TX_REPLACED, steps))[0]

    async def rebroadcast(self, intent: Intent, block: int, older: bool = False) -> Intent:
        """Send the newest bytes again that a node accepts. `older`: skip the newest, which was just refused.

        Bytes of a liquidation that is being cancelled are not sent again.
        """
        kind = intent.attempts[-1].cancels
        chosen = [attempt for attempt in intent.attempts[: -1 if older else None] if attempt.cancels is kind]
        replies = list[Reply]()
        for attempt in reversed(chosen):
            result = await self.router.send(attempt, block)
            replies.append((intent, attempt, result))
            if result.status is not SendStatus.REFUSED or result.reason in (KNOWN, USED):
                break
        self.hook(CrashPoint.RESENT)
        return (await self._record_replies(replies, None))[-1] if replies else intent

    async def publish(self, intent: Intent) -> Intent:
        """Send it to public nodes from now on; the journal records that before a public node sees it."""
        public = await self.journal_call(self.journal.publish, intent.id)
        self.pending.keep(public)
        text = f"tx at nonce {intent.nonce}: relays did not get it mined; sent to public nodes"
        self.emit(Event(TX_PUBLISHED, text, None, {**identity(intent), "hash": hexed(intent.attempts[-1].tx_hash)}))
        return public

    async def drop(self, intent: Intent, reason: str) -> None:
        """End an intent that was never sent; its nonce is free."""
        self.pending.keep(await self.journal_call(self.journal.move, intent.id, IntentState.DROPPED))
        self._report_dropped(intent, reason)

    def _report_dropped(self, intent: Intent, reason: str) -> None:
        self.emit(
            Event(
                TX_CANCELLED,
                f"tx dropped, its nonce is free again: {described(intent)}: {reason}",
                None,
                {**identity(intent), "reason": reason},
            )
        )

    def _replacement(self, intent: Intent, fees: Fees, cancels: bool) -> UnsignedTx:
        """The transaction of the first signed bytes at other fees, or the self-transfer that cancels it."""
        first, _ = transaction_in(intent.attempts[0].raw)
        if cancels:
            first = replace(first, to=self.signer.address, data=b"", gas=self.transfer_gas)
        return replace(first, max_fee=fees.max_fee, priority_fee=fees.priority_fee)

    async def _sign(self, intent: Intent, tx: UnsignedTx, block: int, route: Route, steps: Steps) -> Attempt:
        signed = await self.signer.sign(tx, replaces=steps is not FIRST)
        self.hook(steps.signed)
        cancels = tx.to == self.signer.address
        return Attempt(intent.id, signed.tx_hash, signed.raw, tx.max_fee, tx.priority_fee, cancels, block, route)

    async def _commit_and_send(
        self, attempts: list[Attempt], kind: EventKind, steps: Steps
    ) -> list[tuple[Intent, SendResult]]:
        """Commit all, then send all, then note the replies."""
        if not attempts:
            return []
        intents = await self.journal_call(self.journal.commit, attempts)
        self.pending.keep_all(intents)
        self.hook(steps.committed)
        results = await asyncio.gather(*(self.router.send(attempt, attempt.signed_block) for attempt in attempts))
        self.hook(steps.sent)
        noted = await self._record_replies(list(zip(intents, attempts, results, strict=True)), kind)
        self.hook(steps.noted)
        return list(zip(noted, results, strict=True))

    async def _record_replies(self, replies: Sequence[Reply], kind: EventKind | None) -> list[Intent]:
        """Record replies; `kind` is the event of a new attempt, None for bytes that a node had before."""
        rows = list[tuple[Attempt, SendResult, IntentState | None]]()
        for intent, attempt, result in replies:
            moved = any(other.intent_id == intent.id for other, _, _ in rows)
            rows.append((attempt, result, None if moved else _state_after(intent, result, kind is not None)))
            self._learn(intent, result)
        noted = await self.journal_call(self.journal.note, rows)
        self.pending.keep_all(noted)
        for intent, (attempt, result, state) in zip(noted, rows, strict=True):
            self._report_reply(intent, attempt, result, kind)
            if state is IntentState.DROPPED:
                self._report_dropped(intent, result.reason or "refused")
        return noted

    def _learn(self, intent: Intent, result: SendResult) -> None:
        self.limited = self.limited or result.reason == IN_FLIGHT_LIMIT
        state = self.pending.state(intent)
        known = result.status is not SendStatus.UNKNOWN
        state.unconfirmed = not known
        state.too_high = state.too_high + 1 if known and result.reason == TOO_HIGH else 0
        state.relays_refused = known and result.reason == RELAY_REFUSED

    def _report_reply(self, intent: Intent, attempt: Attempt, result: SendResult, kind: EventKind | None) -> None:
        fields = {**identity(intent), "hash": hexed(attempt.tx_hash)}
        fees = {"max_fee_wei": str(attempt.max_fee), "priority_fee_wei": str(attempt.priority_fee)}
        what = ("cancellation of " if attempt.cancels and intent.kind != FILL else "") + described(intent)
        number = attempt.signed_block
        if result.status is SendStatus.UNKNOWN:
            text = f"tx unconfirmed, sent again in later blocks: {what}: {result.message or result.reason}"
            self.emit(Event(TX_UNKNOWN, text, number, {**fields, "error": result.message or result.reason}))
        if result.status is SendStatus.REFUSED and kind is not None and result.reason != KNOWN:
            text = f"tx refused by nodes: {what}: {result.message or result.reason}"
            reason = {"reason": result.reason, "error": result.message}
            self.emit(Event(TX_REFUSED, text, number, {**fields, **reason}))
        elif kind is not None:
            done = "sent" if kind is TX_SENT else "replaced"
            gwei = f"{attempt.max_fee / 1e9:.3f} gwei"
            text = f"tx {done}: {what}, fee cap {gwei}"
            self.emit(Event(kind, text, number, {**fields, **fees}))


def _state_after(intent: Intent, result: SendResult, new: bool) -> IntentState | None:
    """The state that follows a reply. Unknown keeps the nonce; only a first attempt that was refused for good frees it.

    `new`: these bytes were never sent before. A node that was not asked now may have older ones.
    """
    if intent.state is not IntentState.SIGNED:
        return None
    refused = result.status is SendStatus.REFUSED and result.reason not in KEEPING
    return IntentState.DROPPED if refused and new and len(intent.attempts) == 1 else IntentState.PENDING
