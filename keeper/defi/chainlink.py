"""Chainlink feeds: answers, decimals, bounds, and the uptime of a sequencer. Pure."""

from dataclasses import dataclass

from eth_utils.crypto import keccak

from keeper.model.chain import Call, CallResult

_WORD = 32
_MOST_DECIMALS = 36


def _selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


LATEST = _selector("latestRoundData()")
DECIMALS = _selector("decimals()")
AGGREGATOR = _selector("aggregator()")
MIN_ANSWER = _selector("minAnswer()")
MAX_ANSWER = _selector("maxAnswer()")


@dataclass(frozen=True, slots=True)
class Round:
    """One answer, in the feed's own decimals. `started_at`, `updated_at`: seconds."""

    answer: int
    started_at: int
    updated_at: int


def latest(feed: bytes) -> Call:
    return Call(feed, LATEST)


def round_of(result: CallResult) -> Round | None:
    """The answer to `latest`; None when it is not one."""
    if not result.ok or len(result.data) < 5 * _WORD:
        return None
    return Round(_signed(result, 1), _unsigned(result, 2), _unsigned(result, 3))


def decimals_of(result: CallResult) -> int | None:
    found = word_of(result)
    return found if found is not None and 0 <= found <= _MOST_DECIMALS else None


def address_of(result: CallResult) -> bytes | None:
    """The address in a one-word answer; None when there is none."""
    if not result.ok or len(result.data) != _WORD or not any(result.data):
        return None
    return result.data[12:]


def word_of(result: CallResult) -> int | None:
    """A one-word answer, signed; None when it is not one."""
    return _signed(result, 0) if result.ok and len(result.data) == _WORD else None


def answer_of(result: CallResult) -> int | None:
    """The number in an answer to `latest`, or in one of a single word."""
    if found := round_of(result):
        return found.answer
    return word_of(result)


def with_answer(result: CallResult, answer: int) -> CallResult:
    """The same result with another answer in it."""
    at = _WORD if len(result.data) >= 5 * _WORD else 0
    number = answer.to_bytes(_WORD, "big", signed=True)
    return CallResult(True, result.data[:at] + number + result.data[at + _WORD :])


def _unsigned(result: CallResult, word: int) -> int:
    return int.from_bytes(result.data[word * _WORD : (word + 1) * _WORD], "big")


def _signed(result: CallResult, word: int) -> int:
    return int.from_bytes(result.data[word * _WORD : (word + 1) * _WORD], "big", signed=True)
