"""Price guards report what people should look at, once, and never decide."""

from decimal import Decimal

from hypothesis import given, strategies as st

from keeper.model.events import PRICE_DEVIATES, PRICE_STALE
from keeper.model.health import WAD
from keeper.protocols.base import PriceReading
from keeper.risk.prices import price_events

LIMIT = Decimal("0.30")


def price(dollars: int, problem: str = "", label: str = "ETH") -> PriceReading:
    return PriceReading(label, b"\7" * 20, dollars * WAD, 1_000, problem)


def test_a_usable_price_that_stands_still_says_nothing() -> None:
    assert price_events([price(2_000)], [price(2_000)], LIMIT, 5) == []


def test_a_problem_is_told_with_its_kind() -> None:
    (event,) = price_events([price(2_000, "stale")], [], LIMIT, 5)
    assert event.kind is PRICE_STALE
    assert event.block == 5
    assert set(event.fields) == set(PRICE_STALE.fields)
    assert event.fields["problem"] == "stale"
    assert event.fields["price"] == "2000000000000000000000"


def test_a_problem_is_told_when_it_begins_or_changes_and_not_in_every_block() -> None:
    stale, zero = price(2_000, "stale"), price(0, "zero")
    assert len(price_events([stale], [price(2_000)], LIMIT, 5)) == 1
    assert price_events([stale], [stale], LIMIT, 6) == []
    assert len(price_events([zero], [stale], LIMIT, 7)) == 1


def test_a_move_beyond_the_limit_is_told_with_its_size() -> None:
    (event,) = price_events([price(1_399)], [price(2_000)], LIMIT, 5)
    assert event.kind is PRICE_DEVIATES
    assert set(event.fields) == set(PRICE_DEVIATES.fields)
    assert event.fields["change_bps"] == -3_005


def test_a_move_of_exactly_the_limit_is_not_told() -> None:
    assert price_events([price(2_600)], [price(2_000)], LIMIT, 5) == []
    assert price_events([price(1_400)], [price(2_000)], LIMIT, 5) == []


def test_a_number_that_is_no_price_is_not_compared() -> None:
    assert price_events([price(2_000)], [price(0, "zero")], LIMIT, 5) == []
    events = price_events([price(-5, "negative")], [price(2_000)], LIMIT, 5)
    assert [event.kind for event in events] == [PRICE_STALE]


def test_each_price_is_compared_with_its_own_past() -> None:
    before = [price(1, label="LINK"), price(2_000)]
    assert price_events([price(2_000), price(1, label="LINK")], before, LIMIT, 5) == []


@given(st.integers(1, 10**30), st.integers(1, 10**30), st.integers(1, 100_000))
def test_the_limit_is_compared_exactly(now: int, then: int, limit_bps: int) -> None:
    readings = [PriceReading("X", b"", now, 0)], [PriceReading("X", b"", then, 0)]
    told = bool(price_events(*readings, Decimal(limit_bps) / 10_000, 1))
    assert told == (abs(now - then) * 10_000 > limit_bps * then)
