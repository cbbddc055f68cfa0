"""What no log announces, read in every block: the answers of the engine's price feeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keeper.abi import load_abi
from keeper.errors import InvariantBroken
from keeper.model.chain import Call, CallResult
from keeper.protocols.margin_engine.state import EngineSource, EngineState

_LATEST = load_abi("IFeed").functions["latestRoundData"].encode()
_WORD = 32
_ANSWER_BYTES = 5 * _WORD
_ROUND_LIMIT = 1 << 80


@dataclass(frozen=True, slots=True)
class FeedAnswer:
    """A feed's answer, in its own decimals. Not `readable`: the call failed, or the answer is malformed."""

    answer: int
    updated_at: int
    readable: bool = True


UNREADABLE = FeedAnswer(0, 0, readable=False)


@dataclass(frozen=True, slots=True)
class EngineReadings:
    """The answers of all feeds at one block."""

    feeds: Mapping[bytes, FeedAnswer]


def sources(state: EngineState) -> list[tuple[str, EngineSource]]:
    """(label, source) of every price: a market's name, a collateral's symbol."""
    found = [(market.name, market.rules.source) for market in state.markets if market.rules]
    return found + [(item.symbol, item.source) for item in state.collaterals if item.source]


def feeds(state: EngineState) -> list[bytes]:
    """Every feed once, in a fixed order."""
    return list(dict.fromkeys(source.feed for _, source in sources(state)))


def reads(state: EngineState) -> list[Call]:
    """One `latestRoundData` a feed."""
    return [Call(feed, _LATEST) for feed in feeds(state)]


def decode_reads(state: EngineState, results: Sequence[CallResult]) -> EngineReadings:
    """Answers in the order of `reads`. Raises InvariantBroken when their number differs."""
    asked = feeds(state)
    if len(asked) != len(results):
        raise InvariantBroken(f"{len(asked)} price feeds were read, {len(results)} answers came back")
    return EngineReadings({feed: _decode(result) for feed, result in zip(asked, results, strict=True)})


def _decode(result: CallResult) -> FeedAnswer:
    """Refuses what Solidity's decoder refuses: a short answer, round numbers beyond 80 bits."""
    if not result.ok or len(result.data) < _ANSWER_BYTES:
        return UNREADABLE
    words = [result.data[at : at + _WORD] for at in range(0, _ANSWER_BYTES, _WORD)]
    if any(int.from_bytes(words[at], "big") >= _ROUND_LIMIT for at in (0, 4)):
        return UNREADABLE
    return FeedAnswer(int.from_bytes(words[1], "big", signed=True), int.from_bytes(words[3], "big"))
