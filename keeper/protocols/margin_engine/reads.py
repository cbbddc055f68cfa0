"""Reads and judges the engine's price feeds, as `MarginEngine._read` does: a doubtful answer is never a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keeper.abi import checksum, load_abi
from keeper.errors import InvariantBroken, Refused
from keeper.model.chain import Call, CallResult
from keeper.protocols.base import PriceReading
from keeper.protocols.margin_engine.state import EngineState, Source

_LATEST = load_abi("IFeed").functions["latestRoundData"].encode()
_WORD = 32
_ANSWER_BYTES = 5 * _WORD
_ROUND_LIMIT = 1 << 80
_PRICE_LIMIT = 1 << 128  # 3.4e20 dollars: beyond, the engine's own products overflow
_TIME_LIMIT = (1 << 256) - (1 << 32)


@dataclass(frozen=True, slots=True)
class FeedAnswer:
    """What a feed said, in its own decimals. Not `readable`: the call failed, or the answer is malformed."""

    answer: int
    updated_at: int
    readable: bool = True


UNREADABLE = FeedAnswer(0, 0, readable=False)


@dataclass(frozen=True, slots=True)
class Readings:
    """The answers of all feeds at one block."""

    feeds: Mapping[bytes, FeedAnswer]


def sources(state: EngineState) -> list[tuple[str, Source]]:
    """(label, source) of every price: a market's name, a collateral's symbol."""
    found = [(market.name, market.rules.source) for market in state.markets if market.rules]
    return found + [(item.symbol, item.source) for item in state.collaterals if item.source]


def feeds(state: EngineState) -> list[bytes]:
    """Every feed once, in a fixed order."""
    return list(dict.fromkeys(source.feed for _, source in sources(state)))


def reads(state: EngineState) -> list[Call]:
    """One `latestRoundData` a feed."""
    return [Call(feed, _LATEST) for feed in feeds(state)]


def decode_reads(state: EngineState, results: Sequence[CallResult]) -> Readings:
    """Answers in the order of `reads`. Raises InvariantBroken when their number differs."""
    asked = feeds(state)
    if len(asked) != len(results):
        raise InvariantBroken(f"{len(results)} answers to {len(asked)} price reads")
    return Readings({feed: _decode(result) for feed, result in zip(asked, results, strict=True)})


def _decode(result: CallResult) -> FeedAnswer:
    """Refuses what Solidity's decoder refuses: a short answer, round numbers beyond 80 bits."""
    if not result.ok or len(result.data) < _ANSWER_BYTES:
        return UNREADABLE
    words = [result.data[at : at + _WORD] for at in range(0, _ANSWER_BYTES, _WORD)]
    if any(int.from_bytes(words[at], "big") >= _ROUND_LIMIT for at in (0, 4)):
        return UNREADABLE
    return FeedAnswer(int.from_bytes(words[1], "big", signed=True), int.from_bytes(words[3], "big"))


def judge(readings: Readings, source: Source, timestamp: int) -> tuple[int, str]:
    """(price in 1e18, problem at `timestamp`, empty when the price can be used)."""
    found = readings.feeds.get(source.feed, UNREADABLE)
    price = found.answer * source.scale
    if not found.readable or found.updated_at >= _TIME_LIMIT or price >= _PRICE_LIMIT:
        return 0, "unreadable"
    if price <= 0:
        return price, "negative" if price < 0 else "zero"
    return price, "stale" if found.updated_at + source.heartbeat_s < timestamp else ""


def price_of(readings: Readings, source: Source | None, timestamp: int) -> int:
    """A price that the engine accepts at `timestamp`, in 1e18. Raises Refused("unpriced")."""
    if source is None:
        raise Refused("unpriced", "no feed is configured")
    price, problem = judge(readings, source, timestamp)
    if problem:
        raise Refused("unpriced", f"feed {checksum(source.feed)} is {problem}")
    return price


def price_readings(state: EngineState, readings: Readings, timestamp: int) -> list[PriceReading]:
    """Every price with its label, for guards, logs and people."""
    found = []
    for label, source in sources(state):
        price, problem = judge(readings, source, timestamp)
        updated_at = readings.feeds.get(source.feed, UNREADABLE).updated_at
        found.append(PriceReading(label, source.feed, price, updated_at, problem))
    return found
