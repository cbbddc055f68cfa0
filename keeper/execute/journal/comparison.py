"""Compares what the journal's rows say with what this keeper wrote, and with the bytes that its key signed."""

from collections.abc import Sequence
from dataclasses import fields

from eth_utils.crypto import keccak

from keeper.errors import JournalAltered
from keeper.execute.journal.transitions import REOPENS
from keeper.execute.signing.encoding import sender_of, transaction_in
from keeper.execute.signing.signer import UnsignedTx
from keeper.model.intent import FILL, Attempt, Intent, IntentState

_LONGEST = 40  # characters of a value in a message
_INTENT = [field.name for field in fields(Intent) if field.name not in ("id", "attempts")]
_ATTEMPT = [field.name for field in fields(Attempt)]
_S = IntentState
_UNSENT = frozenset({_S.RESERVED, _S.DROPPED})


def check_rows(written: Intent, found: Intent | None) -> None:
    """Raises JournalAltered where the rows of an intent differ from what was written, outcome and attempts included."""
    number = written.id
    if found is None:
        raise JournalAltered(f"the journal was altered: the row of intent {number} is missing", number)
    for name in _INTENT:
        _same(number, f"column {name}", getattr(written, name), getattr(found, name))
    _same(number, "the number of attempts", len(written.attempts), len(found.attempts))
    for index, (ours, theirs) in enumerate(zip(written.attempts, found.attempts, strict=True), 1):
        for name in _ATTEMPT:
            _same(number, f"column {name} of attempt {index}", getattr(ours, name), getattr(theirs, name))


def check_state(number: int, written: IntentState, found: object) -> None:
    """Raises JournalAltered where the state of intent `number` is not the one that was written."""
    _same(number, "column state", str(written), found)


def check_signed(intent: Intent, keeper: bytes, chain_id: int) -> None:
    """Raises JournalAltered where an intent is not what its signed bytes say, or the keeper's key did not sign them.

    For intents that an earlier run left. One that was never signed passes: nothing is sent from it.
    """
    _check_state_and_attempts(intent)
    for index, attempt in enumerate(intent.attempts, 1):
        _check_bytes(intent, attempt, f"of attempt {index}", keeper, chain_id)
    if ((intent.to, intent.data) == (keeper, b"")) is not (intent.kind == FILL):
        raise _altered(intent.id, "column kind", f"{FILL} for a self-transfer and for nothing else", intent.kind)
    if intent.outcome and intent.state not in REOPENS:
        raise _altered(intent.id, "column state", "that of an intent with an outcome", intent.state)
    if intent.outcome and intent.outcome.tx_hash not in {attempt.tx_hash for attempt in intent.attempts}:
        raise _altered(intent.id, "column tx_hash of its outcome", "the hash of an attempt", intent.outcome.tx_hash)


def check_account(intent: Intent, accounts: Sequence[bytes]) -> None:
    """Raises JournalAltered where the account of an intent is not the one in its calldata.

    `accounts`: of its calldata, none where they are not known. A batch is under the contract that it calls.
    """
    if accounts:
        wanted = accounts[0] if len(accounts) == 1 else intent.to
        _same(intent.id, "column account", wanted, intent.account)


def _check_state_and_attempts(intent: Intent) -> None:
    state, kinds = intent.state, [attempt.cancels for attempt in intent.attempts]
    if not kinds and state not in _UNSENT:
        raise _altered(intent.id, "the number of attempts", f"at least 1 ({state})", 0)
    if kinds and state is _S.RESERVED:
        raise _altered(intent.id, "column state", "signed or later", state)
    if kinds != sorted(kinds) or (kinds and kinds[0] is not (intent.kind == FILL)):
        raise _altered(intent.id, "column cancels", "the liquidation before its cancellation", kinds)
    if not state.final and any(kinds) is not (state is _S.CANCELLING):
        raise _altered(intent.id, "column state", "cancelling" if any(kinds) else "signed or pending", state)


def _check_bytes(intent: Intent, attempt: Attempt, which: str, keeper: bytes, chain_id: int) -> None:
    number = intent.id
    try:
        tx, signature = transaction_in(attempt.raw)
    except ValueError as error:
        raise _altered(number, f"column raw {which}", f"a signed transaction ({error})", attempt.raw) from None
    _same(number, f"signer of the bytes {which}", keeper, sender_of(tx, signature))
    _same(number, f"chain id of the bytes {which}", chain_id, tx.chain_id)
    _same(number, f"column tx_hash {which}", keccak(attempt.raw), attempt.tx_hash)
    to, data = (keeper, b"") if attempt.cancels else (intent.to, intent.data)
    gas = tx.gas if attempt.cancels else intent.gas_limit
    row = UnsignedTx(chain_id, intent.nonce, to, data, gas, attempt.max_fee, attempt.priority_fee)
    for name in (field.name for field in fields(UnsignedTx)):
        _same(number, f"column {name} {which}", getattr(tx, name), getattr(row, name))


def _same(number: int, what: str, expected: object, found: object) -> None:
    if expected != found:
        raise _altered(number, what, expected, found)


def _altered(number: int, what: str, expected: object, found: object) -> JournalAltered:
    wanted, seen = _text(expected), _text(found)
    at = next((index for index, pair in enumerate(zip(wanted, seen, strict=False)) if len(set(pair)) > 1), 0)
    problem = f"intent {number}: {what} is {_clipped(seen, at)} instead of {_clipped(wanted, at)}"
    return JournalAltered(f"the journal was altered: {problem}", number)


def _text(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def _clipped(text: str, at: int) -> str:
    """A long text around the place where it differs."""
    if len(text) <= _LONGEST:
        return text
    start = max(at - _LONGEST // 4, 0)
    return f"...{text[start : start + _LONGEST]}... ({len(text)} characters)"
