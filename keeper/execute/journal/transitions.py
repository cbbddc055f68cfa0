"""The states of an intent and the allowed edges between them. Pure: the journal asks before each write."""

from collections.abc import Sequence

from keeper.errors import InvariantBroken
from keeper.model.intent import Attempt, IntentState

_S = IntentState
_ENDED_ON_CHAIN = frozenset({_S.MINED, _S.REVERTED, _S.SUPERSEDED})

EDGES: dict[IntentState, frozenset[IntentState]] = {
    # A reservation that only fills a gap in the nonces signs a self-transfer at once.
    _S.RESERVED: frozenset({_S.SIGNED, _S.CANCELLING, _S.DROPPED}),
    # Signed bytes may have left before a crash: they can be found mined without ever having been noted as sent.
    _S.SIGNED: frozenset({_S.PENDING, _S.CANCELLING, _S.DROPPED}) | _ENDED_ON_CHAIN,
    _S.PENDING: frozenset({_S.CANCELLING}) | _ENDED_ON_CHAIN,
    _S.CANCELLING: frozenset({_S.CANCELLED}) | _ENDED_ON_CHAIN,
    _S.MINED: frozenset(),
    _S.REVERTED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.SUPERSEDED: frozenset(),
    _S.DROPPED: frozenset(),
}

# States whose outcome lies in a block: a reorg takes it back.
REOPENS = frozenset({_S.MINED, _S.REVERTED, _S.CANCELLED})
# States in which the nonce is gone for good.
CONSUMED = _ENDED_ON_CHAIN | {_S.CANCELLED}


def advance(current: IntentState, to: IntentState) -> IntentState:
    """The new state. Raises InvariantBroken when there is no such edge."""
    if to not in EDGES[current]:
        raise InvariantBroken(f"the state of an intent cannot change from {current} to {to}")
    return to


def reopened(current: IntentState, attempts: Sequence[Attempt]) -> IntentState:
    """The state after a reorg dropped the block of the outcome: a sent self-transfer stays a cancellation.

    Raises InvariantBroken for a state that no block decided.
    """
    if current not in REOPENS:
        raise InvariantBroken(f"an intent that is {current} is in no block, so no reorg can reopen it")
    return _S.CANCELLING if any(attempt.cancels for attempt in attempts) else _S.PENDING


def after_signing(current: IntentState, cancels: bool) -> IntentState:
    """The state in which an intent with a further signed attempt belongs."""
    if cancels and current is not _S.CANCELLING:
        return advance(current, _S.CANCELLING)
    if not cancels and current is _S.RESERVED:
        return advance(current, _S.SIGNED)
    if current.final or (current is _S.CANCELLING and not cancels):
        raise InvariantBroken(f"nothing more may be signed for an intent that is {current}")
    return current
