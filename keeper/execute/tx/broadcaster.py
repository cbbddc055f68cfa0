"""Carries attempts out: sign, commit, send once, note the answer. The only code that hands bytes to a node."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from keeper.abi import checksum
from keeper.chain.replies import RELAY_REFUSED
from keeper.errors import InvariantBroken, Transient
from keeper.execute.journal.journal import Journal
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.signer import UnsignedTx
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

Hook = Callable[[str], None]
Answer = tuple[Intent, Attempt, SendResult]
P = ParamSpec("P")
T = TypeVar("T")


def identity(intent: Intent) -> dict[str, object]:
    """The fields that every event of an intent carries."""
    return {"intent": intent.id, "account": checksum(intent.account), "nonce": intent.nonce}


class Broadcaster:
    """Journal, policy signer and sender in the only order in which they may be used.

    `keep` is told each new version of an intent; `hook` is told the points at which a crash is interesting.
    `unsure`: intents whose last bytes nobody confirmed; `unwanted`: that relays refused. `too_high`: intent -> how
    often in a row its nonce was refused as too high. `limited`: a node takes one transaction of this signer at a time.
    """

    def __init__(
        self,
        journal: Journal,
        signer: PolicySigner,
        router: Router,
        emit: Emit,
        keep: Callable[[Intent], None],
        hook: Hook,
    ) -> None:
        self._journal = journal
        self._signer = signer
        self.router = router
        self.emit = emit
        self._keep = keep
        self.hook = hook
        self.unsure: set[int] = set()
        self.too_high: Counter[int] = Counter()
        self.limited = False
        self.unwanted: set[int] = set()
        self._thread = ThreadPoolExecutor(1, "journal")

    async def journal_call(self, write: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One of the journal's methods, off the event loop and in order."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: write(*args, **kwargs))

    def close(self) -> None:
        self._thread.shutdown()
        self._journal.close()

    async def launch(self, drafts: Sequence[TxRequest], nonces: Sequence[int], block: int) -> list[Intent]:
        """Reserve, sign, commit and send new intents: one commit each for all of them, and all sends at once.

        A signer that does not answer costs no nonce. Raises InvariantBroken when something must not be signed.
        """
        reserved = await self.journal_call(self._journal.reserve, list(zip(drafts, nonces, strict=True)))
        self._keep_all(reserved)
        self.hook("journal.reserved")
        attempts = list[Attempt]()
        for intent, draft in zip(reserved, drafts, strict=True):
            try:
                attempts.append(await self._sign(intent, draft.fees, block, draft.kind == FILL, draft.route))
            except Transient as error:  # whatever comes after it would wait behind a gap
                for unsigned in reserved[len(attempts) :]:
                    await self.drop(unsigned, f"not signed: {error}")
                break
            except InvariantBroken:
                for unsent in reserved:
                    await self.drop(unsent, "the policy signer refused")
                raise
        sent = await self._commit_and_send(attempts, TX_SENT)
        # Sent at once with others it may have overtaken them: once more, after them.
        return [await self.rebroadcast(intent) if intent.id in self.too_high else intent for intent, _ in sent]

    async def replace(self, intent: Intent, fees: Fees, block: int, cancels: bool) -> tuple[Intent, SendResult]:
        """A further attempt at the same nonce, which a node may know at a lower fee; and what the node answered."""
        path = "cancel." if cancels else "replacement."
        route = Route.PUBLIC if cancels else intent.attempts[-1].route
        attempt = await self._sign(intent, fees, block, cancels, route, path)
        return (await self._commit_and_send([attempt], TX_REPLACED, path))[0]

    async def rebroadcast(self, intent: Intent, older: bool = False) -> Intent:
        """The same bytes once more: the newest that a node takes. `older`: without the newest, which was just refused.

        Bytes of a liquidation that is being cancelled stay here.
        """
        kind = intent.attempts[-1].cancels
        chosen = [attempt for attempt in intent.attempts[: -1 if older else None] if attempt.cancels is kind]
        answers = list[Answer]()
        for attempt in reversed(chosen):
            result = await self.router.send(attempt)
            answers.append((intent, attempt, result))
            if result.status is not SendStatus.REFUSED or result.reason in (KNOWN, USED):
                break
        self.hook("rebroadcast.sender.sent")
        return (await self._record_replies(answers, None))[-1] if answers else intent

    async def publish(self, intent: Intent) -> Intent:
        """From now on in the open; written down before a public node sees it."""
        public = await self.journal_call(self._journal.publish, intent.id)
        self._keep(public)
        text = f"nonce {intent.nonce} was not mined through relays: it goes to public nodes"
        self.emit(Event(TX_PUBLISHED, text, None, {**identity(intent), "hash": hexed(intent.attempts[-1].tx_hash)}))
        return public

    async def drop(self, intent: Intent, reason: str) -> None:
        """End an intent that never left; its nonce is free."""
        self._keep(await self.journal_call(self._journal.move, intent.id, IntentState.DROPPED))
        self._tell_dropped(intent, reason)

    def _tell_dropped(self, intent: Intent, reason: str) -> None:
        self.emit(Event(TX_CANCELLED, f"dropped: {reason}", None, {**identity(intent), "reason": reason}))

    async def _sign(
        self, intent: Intent, fees: Fees, block: int, cancels: bool, route: Route, path: str = ""
    ) -> Attempt:
        tx = UnsignedTx(
            chain_id=self._signer.chain_id,
            nonce=intent.nonce,
            to=self._signer.address if cancels else intent.to,
            data=b"" if cancels else intent.data,
            gas=TRANSFER_GAS if cancels else intent.gas_limit,
            max_fee=fees.max_fee,
            priority_fee=fees.priority_fee,
        )
        signed = await self._signer.sign(tx)
        self.hook(f"{path}signer.signed")
        return Attempt(intent.id, signed.tx_hash, signed.raw, fees.max_fee, fees.priority_fee, cancels, block, route)

    async def _commit_and_send(
        self, attempts: list[Attempt], kind: EventKind, path: str = ""
    ) -> list[tuple[Intent, SendResult]]:
        """Commit all, then send all, then note the answers. `path`: what its crash points are called after."""
        if not attempts:
            return []
        intents = await self.journal_call(self._journal.commit, attempts)
        self._keep_all(intents)
        self.hook(f"{path}journal.committed")
        results = await asyncio.gather(*(self.router.send(attempt) for attempt in attempts))
        self.hook(f"{path}sender.sent")
        noted = await self._record_replies(list(zip(intents, attempts, results, strict=True)), kind)
        self.hook(f"{path}journal.noted")
        return list(zip(noted, results, strict=True))

    async def _record_replies(self, answers: Sequence[Answer], kind: EventKind | None) -> list[Intent]:
        """Write down answers; `kind` is the event of a new attempt, None for bytes that a node had before."""
        rows = list[tuple[Attempt, SendResult, IntentState | None]]()
        for intent, attempt, result in answers:
            moved = any(other.intent_id == intent.id for other, _, _ in rows)
            rows.append((attempt, result, None if moved else _state_after(intent, result, kind is not None)))
            self._learn(intent, result)
        noted = await self.journal_call(self._journal.note, rows)
        self._keep_all(noted)
        for intent, (attempt, result, state) in zip(noted, rows, strict=True):
            self._tell(intent, attempt, result, kind)
            if state is IntentState.DROPPED:
                self._tell_dropped(intent, result.reason or "refused")
        return noted

    def forget(self, intent: Intent) -> None:
        """It has ended, or was answered otherwise."""
        self.unsure.discard(intent.id)
        self.unwanted.discard(intent.id)
        self.too_high.pop(intent.id, None)

    def _learn(self, intent: Intent, result: SendResult) -> None:
        self.limited = self.limited or result.reason == IN_FLIGHT_LIMIT
        times = self.too_high[intent.id]
        self.forget(intent)
        if result.status is SendStatus.UNKNOWN:
            self.unsure.add(intent.id)
        elif result.reason == TOO_HIGH:
            self.too_high[intent.id] = times + 1
        elif result.reason == RELAY_REFUSED:
            self.unwanted.add(intent.id)

    def _tell(self, intent: Intent, attempt: Attempt, result: SendResult, kind: EventKind | None) -> None:
        fields = {**identity(intent), "hash": hexed(attempt.tx_hash)}
        fees = {"max_fee_wei": str(attempt.max_fee), "priority_fee_wei": str(attempt.priority_fee)}
        what = "self-transfer" if attempt.cancels else intent.kind
        number = attempt.signed_block
        if result.status is SendStatus.UNKNOWN:
            text = f"no node confirmed {what} at nonce {intent.nonce}: {result.message or result.reason}"
            self.emit(Event(TX_UNKNOWN, text, number, {**fields, "error": result.message or result.reason}))
        if result.status is SendStatus.REFUSED and kind is not None and result.reason != KNOWN:
            text = f"{what} at nonce {intent.nonce} was refused: {result.message or result.reason}"
            reason = {"reason": result.reason, "error": result.message}
            self.emit(Event(TX_REFUSED, text, number, {**fields, **reason}))
        elif kind is not None:
            text = (
                f"{what} of {checksum(intent.account)} at nonce {intent.nonce}, up to {attempt.max_fee / 1e9:.3f} gwei"
            )
            self.emit(Event(kind, text, number, {**fields, **fees}))

    def _keep_all(self, intents: Sequence[Intent]) -> None:
        for intent in intents:
            self._keep(intent)


def _state_after(intent: Intent, result: SendResult, new: bool) -> IntentState | None:
    """Where a reply leads. Unknown keeps the nonce; only a first attempt that was refused for good frees it.

    `new`: these bytes never left before. Of others a node may have them that was not asked now.
    """
    if intent.state is not IntentState.SIGNED:
        return None
    refused = result.status is SendStatus.REFUSED and result.reason not in KEEPING
    return IntentState.DROPPED if refused and new and len(intent.attempts) == 1 else IntentState.PENDING
