"""Price guards: which prices are doubtful although the protocol would use them, and whether to send at all.

A price is doubtful when it is older than the operator allows, further from an independent reference than the operator
allows, or at the least or greatest answer that its feed can give. What then happens is the operator's choice: hold or
follow. References are read in the same request as the protocol's own prices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from keeper.defi import chainlink
from keeper.model.chain import BlockRef, Call, CallResult
from keeper.model.events import (
    PRICE_HELD,
    PRICE_RELEASED,
    PRICE_STALE,
    REFERENCE_LOST,
    SEQUENCER_DOWN,
    SEQUENCER_UP,
    Emit,
    Event,
)
from keeper.model.health import WAD
from keeper.protocols.base import PriceReading

_FRESH_BLOCKS = 128  # after which a feed's bounds are read again
_PROBLEMS = {
    "old": "is older than KEEPER_MAX_PRICE_AGE_S",
    "deviates": "differs from its reference",
    "at_minimum": "is at its feed's minimum",
    "at_maximum": "is at its feed's maximum",
}
_CONSEQUENCES = {
    "hold": "accounts that depend on it are skipped",
    "follow": "only liquidations that also pay at the reference price are sent",
}


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """The operator's choices. `references`: label -> feed. Times in seconds; 0 for `max_age_s` is no limit."""

    references: Mapping[str, bytes] = field(default_factory=dict)
    max_deviation: Fraction = Fraction(1, 20)
    follow_deviating: bool = False
    max_age_s: int = 0
    follow_old: bool = False
    sequencer: bytes | None = None
    grace_s: int = 3_600


@dataclass(frozen=True, slots=True)
class Doubt:
    """A doubtful price. Prices in 1e18 dollars; `reference_wad` None when there is none."""

    label: str
    feed: bytes
    problem: str  # a key of _PROBLEMS
    price_wad: int
    reference_wad: int | None
    follow: bool

    def __str__(self) -> str:
        beside = "no reference" if self.reference_wad is None else f"reference {self.reference_wad / WAD:,.4f}"
        return f"price of {self.label} {_PROBLEMS[self.problem]}: {self.price_wad / WAD:,.4f} USD, {beside}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The doubtful prices of one block. `stopped`: why nothing may be sent; empty when sending is allowed."""

    doubts: tuple[Doubt, ...] = ()
    stopped: str = ""


@dataclass(slots=True)
class _Bounds:
    """A feed's least and greatest answer, and the block in which they were read."""

    aggregator: bytes | None = None
    least: int | None = None
    most: int | None = None
    asked: int = -1


class PriceGuard:
    """Reads with `calls` and judges with `judge` in each block; reports each problem once."""

    def __init__(self, policy: GuardPolicy, emit: Emit) -> None:
        self._policy = policy
        self._emit = emit
        self._bounds: dict[bytes, _Bounds] = {}
        self._doubts: dict[tuple[bytes, str], Doubt] = {}
        self._lost: dict[str, str] = {}
        self._stopped = ""
        self._asked: list[Call] = []

    def calls(self) -> list[Call]:
        """What to read in the next block: references, the sequencer's feed, and bounds that are not known yet."""
        wanted = []
        for feed in self._policy.references.values():
            wanted += [chainlink.latest(feed), Call(feed, chainlink.DECIMALS)]
        if self._policy.sequencer:
            wanted.append(chainlink.latest(self._policy.sequencer))
        for feed, bounds in self._bounds.items():
            if bounds.asked < 0:
                wanted.append(Call(feed, chainlink.AGGREGATOR))
            if bounds.aggregator:
                wanted += [Call(bounds.aggregator, name) for name in (chainlink.MIN_ANSWER, chainlink.MAX_ANSWER)]
        self._asked = wanted
        return wanted

    def judge(
        self,
        block: BlockRef,
        prices: Sequence[PriceReading],
        answers: Mapping[bytes, CallResult],
        results: Sequence[CallResult],
    ) -> Verdict:
        """The verdict on a block. answers: of the protocol's own reads, by contract; results: of `calls`, in order."""
        found = dict(zip(self._asked, results, strict=True))
        self._learn(block, found, {reading.feed for reading in prices})
        references = self._references(block, prices, found)
        doubts = {}
        for reading in prices:
            doubt = self._doubt(reading, references.get(reading.feed), answers.get(reading.feed), block)
            if doubt and (reading.feed, doubt.problem) not in doubts:
                doubts[reading.feed, doubt.problem] = doubt
        self._report(doubts, prices, block)
        return Verdict(tuple(doubts.values()), self._sequencer(block, found))

    # References.

    def _references(
        self, block: BlockRef, prices: Sequence[PriceReading], found: Mapping[Call, CallResult]
    ) -> dict[bytes, int]:
        """Reference prices (1e18), by the feed that they are compared with."""
        references = {}
        feeds = {reading.label: reading.feed for reading in prices}
        for label, reference in self._policy.references.items():
            price, problem = self._reference(reference, block, found)
            problem = problem if label in feeds else "no price of the protocol has this label"
            if problem and self._lost.get(label) != problem:
                fields = {"label": label, "feed": "0x" + reference.hex(), "problem": problem}
                self._emit(
                    Event(REFERENCE_LOST, f"reference price of {label} is unavailable: {problem}", block.number, fields)
                )
            self._lost[label] = problem
            if not problem:
                references[feeds[label]] = price
        return references

    def _reference(self, feed: bytes, block: BlockRef, found: Mapping[Call, CallResult]) -> tuple[int, str]:
        nothing = CallResult(False, b"")
        answer = chainlink.round_of(found.get(chainlink.latest(feed), nothing))
        decimals = chainlink.decimals_of(found.get(Call(feed, chainlink.DECIMALS), nothing))
        if answer is None or decimals is None:
            return 0, "the feed does not answer"
        if answer.answer <= 0:
            return 0, "the price is zero or negative"
        if self._policy.max_age_s and answer.updated_at + self._policy.max_age_s < block.timestamp:
            return 0, "the price is stale"
        return answer.answer * WAD // 10**decimals, ""

    # Doubts.

    def _doubt(
        self, reading: PriceReading, reference: int | None, answer: CallResult | None, block: BlockRef
    ) -> Doubt | None:
        """The first reason to doubt a price that the protocol would use."""
        policy, price = self._policy, reading.price_wad
        if reading.problem or price <= 0:
            return None  # the protocol's own rule holds its accounts already
        problem = self._at_bound(reading.feed, answer)
        if not problem and reference is not None and abs(price - reference) > policy.max_deviation * reference:
            problem = "deviates"
        if problem:
            return Doubt(reading.label, reading.feed, problem, price, reference, policy.follow_deviating)
        if policy.max_age_s and reading.updated_at + policy.max_age_s < block.timestamp:
            return Doubt(reading.label, reading.feed, "old", price, reference, policy.follow_old)
        return None

    def _at_bound(self, feed: bytes, answer: CallResult | None) -> str:
        bounds, number = self._bounds.get(feed), chainlink.answer_of(answer) if answer else None
        if bounds is None or number is None:
            return ""
        if bounds.least is not None and number <= bounds.least:
            return "at_minimum"
        return "at_maximum" if bounds.most is not None and number >= bounds.most else ""

    def _learn(self, block: BlockRef, found: Mapping[Call, CallResult], feeds: set[bytes]) -> None:
        """Feeds and their bounds. A feed may change its aggregator, so they are read again every 128 blocks."""
        for feed in feeds:
            bounds = self._bounds.setdefault(feed, _Bounds())
            if (result := found.get(Call(feed, chainlink.AGGREGATOR))) is not None:
                bounds.aggregator, bounds.asked = chainlink.address_of(result), block.number
            elif bounds.aggregator and (low := found.get(Call(bounds.aggregator, chainlink.MIN_ANSWER))) is not None:
                high = found.get(Call(bounds.aggregator, chainlink.MAX_ANSWER), low)
                bounds.least, bounds.most = chainlink.word_of(low), chainlink.word_of(high)
                bounds.aggregator = None
            elif block.number - bounds.asked >= _FRESH_BLOCKS:
                bounds.asked = -1

    def _report(
        self, doubts: Mapping[tuple[bytes, str], Doubt], prices: Sequence[PriceReading], block: BlockRef
    ) -> None:
        for key, doubt in doubts.items():
            if key not in self._doubts:
                self._emit(_held(doubt, prices, block))
        now = {reading.feed: reading.price_wad for reading in prices}
        for key, doubt in self._doubts.items():
            if key not in doubts:
                fields = {"label": doubt.label, "feed": "0x" + doubt.feed.hex(), "price": str(now.get(doubt.feed, 0))}
                message = f"price of {doubt.label} is usable again"
                self._emit(Event(PRICE_RELEASED, message, block.number, fields))
        self._doubts = dict(doubts)

    # The sequencer.

    def _sequencer(self, block: BlockRef, found: Mapping[Call, CallResult]) -> str:
        if self._policy.sequencer is None:
            return ""
        answer = chainlink.round_of(found.get(chainlink.latest(self._policy.sequencer), CallResult(False, b"")))
        problem, since = _outage(answer, block.timestamp, self._policy.grace_s)
        if problem and problem != self._stopped:
            message = f"{problem}: nothing new is sent"
            self._emit(Event(SEQUENCER_DOWN, message, block.number, {"problem": problem, "since": since}))
        if self._stopped and not problem:
            self._emit(
                Event(SEQUENCER_UP, "the sequencer is up and its grace period is over: sending continues", block.number)
            )
        self._stopped = problem
        return problem


def _outage(answer: chainlink.Round | None, timestamp: int, grace_s: int) -> tuple[str, int]:
    """Why nothing may be sent and since when (seconds); empty when the sequencer is up. An answer of 0 means up."""
    if answer is None or answer.started_at == 0:
        return "the sequencer's uptime feed does not answer", 0
    if answer.answer != 0:
        return "the sequencer is down", answer.started_at
    if timestamp - answer.started_at < grace_s:
        return f"the sequencer has been up for less than {grace_s} s", answer.started_at
    return "", 0


def _held(doubt: Doubt, prices: Sequence[PriceReading], block: BlockRef) -> Event:
    policy = "follow" if doubt.follow else "hold"
    fields: dict[str, object] = {
        "label": doubt.label,
        "feed": "0x" + doubt.feed.hex(),
        "problem": doubt.problem,
        "price": str(doubt.price_wad),
    }
    if doubt.problem == "old":
        setting = "follow" if doubt.follow else "strict"
        updated_at = next(reading.updated_at for reading in prices if reading.feed == doubt.feed)
        message = f"{doubt}; {_CONSEQUENCES[policy]} (KEEPER_PRICE_POLICY={setting})"
        return Event(PRICE_STALE, message, block.number, {**fields, "updated_at": updated_at})
    fields |= {
        "reference": None if doubt.reference_wad is None else str(doubt.reference_wad),
        "policy": policy,
    }
    message = f"{doubt}; {_CONSEQUENCES[policy]} (KEEPER_DEVIATION_POLICY={policy})"
    return Event(PRICE_HELD, message, block.number, fields)
