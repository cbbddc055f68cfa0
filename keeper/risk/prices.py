"""Events about unusable prices and large price moves.

They only report: the adapter decides whether a price can be used, by the contract's own rule.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from keeper.model.events import PRICE_DEVIATES, PRICE_STALE, Event
from keeper.protocols.base import PriceReading

_BPS = 10_000


def price_events(
    readings: Sequence[PriceReading], previous: Sequence[PriceReading], max_move: Decimal, block: int
) -> list[Event]:
    """Events for one block's `Protocol.prices`, given those of the block before (empty at start).

    A problem is reported when it appears or changes, not in every block. A move is reported when it exceeds the share
    `max_move` of the previous price, compared exactly.
    """
    before = {(reading.label, reading.feed): reading for reading in previous}
    return [
        event
        for reading in readings
        for event in _judge(reading, before.get((reading.label, reading.feed)), Fraction(max_move), block)
    ]


def _judge(reading: PriceReading, before: PriceReading | None, max_move: Fraction, block: int) -> Iterator[Event]:
    if reading.problem and (before is None or before.problem != reading.problem):
        yield _unusable(reading, block)
    if before is None or not (_is_number(reading) and _is_number(before)):
        return
    if abs(reading.price_wad - before.price_wad) > max_move * before.price_wad:
        yield _deviates(reading, before.price_wad, block)


def _is_number(reading: PriceReading) -> bool:
    """A stale price is old, but it was a price; zero, negative and unreadable ones are not."""
    return reading.price_wad > 0 and reading.problem in ("", "stale")


def _unusable(reading: PriceReading, block: int) -> Event:
    message = f"price of {reading.label} cannot be used ({reading.problem}); accounts that depend on it are skipped"
    fields = {
        "label": reading.label,
        "feed": "0x" + reading.feed.hex(),
        "problem": reading.problem,
        "price": str(reading.price_wad),
        "updated_at": reading.updated_at,
    }
    return Event(PRICE_STALE, message, block, fields)


def _deviates(reading: PriceReading, previous_wad: int, block: int) -> Event:
    change_bps = (reading.price_wad - previous_wad) * _BPS // previous_wad
    message = f"price of {reading.label} moved by {change_bps / 100:+.2f} % within one block"
    fields = {
        "label": reading.label,
        "feed": "0x" + reading.feed.hex(),
        "price": str(reading.price_wad),
        "previous": str(previous_wad),
        "change_bps": change_bps,
    }
    return Event(PRICE_DEVIATES, message, block, fields)
