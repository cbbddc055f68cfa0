"""What the executor's logs, return values and revert reasons mean. Amounts are in units of the token named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_abi.exceptions import DecodingError

from keeper.model.chain import Log
from keeper.protocols.base import Revert, RevertAction
from keeper.protocols.executor.contract import ERRORS, EVENTS, FUNCTIONS

_LIQUIDATED = EVENTS["Liquidated"]
_STEP_FAILED = EVENTS["StepFailed"]
_COINS = bytes(20)
# What moves capital beside liquidations, by topic.
MOVEMENTS = {EVENTS[name].topic: name for name in ("Swept", "Sold", "Refuelled", "Unwrapped")}
SWEPT = EVENTS["Swept"].topic  # pays the treasury, whoever sends it
_PANIC = bytes.fromhex("4e487b71")
_ERROR = bytes.fromhex("08c379a0")
_RETRY, _BUG = RevertAction.RETRY, RevertAction.BUG

ACTIONS = {
    # Prices, pools or competitors moved between our block and the one that executed: size it again.
    "Unprofitable": _RETRY,
    "Shortfall": _RETRY,
    "PositionLeft": _RETRY,
    "MarginLeft": _RETRY,
    "TooLittleGas": _RETRY,
    "SafeERC20FailedOperation": _RETRY,
    "Expired": _RETRY,
    "BelowFloor": _RETRY,  # the treasury raised it
    # Reverting so would be our own mistake.
    "NotTreasury": _BUG,
    "NotOperator": _BUG,
    "BadRole": _BUG,
    "Held": _BUG,
    "NotHeld": _BUG,
    "NoLeast": _BUG,
    "AboveGasBound": _BUG,
    "PaymentFailed": _BUG,
    "NotAPool": _BUG,
    "BadRoute": _BUG,
    "Unexpected": _BUG,
    "Reentered": _BUG,
    "BadBatch": _BUG,
    "SafeCastOverflowedIntToUint": _BUG,
    "SafeCastOverflowedUintDowncast": _BUG,
    "SafeCastOverflowedUintToInt": _BUG,
}


@dataclass(frozen=True, slots=True)
class Liquidated:
    """What one liquidation earned, by balance: units of `token`, negative for a cost."""

    account: bytes
    token: bytes
    profit: int


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step of a batch that reverted; `reason` is its revert data."""

    index: int
    reason: bytes


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a step of a batch, as the call returns it. `profit`: units of the step's own token."""

    success: bool
    profit: int
    gas_used: int
    reason: bytes


def liquidated(executor: bytes, logs: Sequence[Log]) -> list[Liquidated]:
    """The liquidations that the executor announces in a transaction's logs."""
    found = []
    for log in _of(executor, logs, _LIQUIDATED.topic):
        [profit] = _LIQUIDATED.decode(log)[1]
        found.append(Liquidated(log.topics[1][12:], log.topics[2][12:], profit))
    return found


def steps_failed(executor: bytes, logs: Sequence[Log]) -> list[StepFailed]:
    """The failed steps that the executor announces in a batch's logs."""
    found = []
    for log in _of(executor, logs, _STEP_FAILED.topic):
        [index], [reason] = _STEP_FAILED.decode(log)
        found.append(StepFailed(index, reason))
    return found


def movements(executor: bytes, logs: Sequence[Log], wrapped: bytes) -> dict[bytes, int]:
    """What sweeps, sales and refuellings changed of the executor's balances, by token; 20 zero bytes: coins.

    wrapped: the token that the executor unwraps for a refuelling.
    """
    changes: dict[bytes, int] = {}
    for log in logs:
        name = MOVEMENTS.get(log.topics[0]) if log.topics and log.address == executor else None
        if name is None:
            continue
        amounts, tokens = EVENTS[name].decode(log)[1], [topic[12:] for topic in log.topics[1:]]
        for token, units in zip(*_moved(name, tokens, amounts, wrapped), strict=True):
            changes[token] = changes.get(token, 0) + units
    return changes


def _moved(
    name: str, tokens: Sequence[bytes], amounts: Sequence[int], wrapped: bytes
) -> tuple[Sequence[bytes], Sequence[int]]:
    """Tokens, and what one event changed of each."""
    if name == "Sold":
        return tokens, (-amounts[0], amounts[1])
    if name == "Unwrapped":
        return (wrapped, _COINS), (-amounts[0], amounts[0])
    return tokens or (_COINS,), (-amounts[0],)


def outcomes(data: bytes) -> list[StepResult]:
    """What a simulated batch returned. Raises eth_abi's DecodingError when that is something else."""
    return [StepResult(*words) for words in FUNCTIONS["batch"].decode(data)[0]]


def explain(data: bytes, messages: Mapping[str, RevertAction] | None = None) -> Revert:
    """Decode revert data: the executor's own reasons, and texts.

    messages: the protocol's own texts, which name the reason; any other text is an "Error". An unknown reason
    is named by its selector and retried.
    """
    selector = data[:4]
    error = ERRORS.get(selector)
    try:
        if error is not None:
            return Revert(error.name, error.decode(data), ACTIONS[error.name])
        if selector == _PANIC:
            return Revert("Panic", (int.from_bytes(data[4:36], "big"),), _BUG)
    except DecodingError:
        pass
    if selector == _ERROR:
        return _text(data, messages or {})
    return Revert(f"0x{selector.hex()}" if selector else "no reason", (), _RETRY)


def _text(data: bytes, messages: Mapping[str, RevertAction]) -> Revert:
    length = int.from_bytes(data[36:68], "big")
    text = data[68 : 68 + length].decode("utf-8", errors="replace")
    if text in messages:
        return Revert(text, (), messages[text])
    return Revert("Error", (text,), _RETRY)


def _of(executor: bytes, logs: Sequence[Log], topic: bytes) -> list[Log]:
    return [log for log in logs if log.address == executor and log.topics and log.topics[0] == topic]
