"""Chainlink feeds as Perpetual Protocol reads them: what is valid, what is cached, and what a mean over time is."""

from dataclasses import replace

import pytest

from keeper.errors import Refused
from keeper.protocols.curie.feeds import index_price, latest
from keeper.protocols.curie.reads import FeedReading
from keeper.protocols.curie.state import CurieSource, Observations, halves, signed_whole, whole

SOURCE = CurieSource(b"\x01" * 20, b"\x02" * 20, b"\x03" * 20, decimals=18, feed_decimals=8, dispatched=True)
READING = FeedReading(
    newest=1,
    first_at=1_000,
    cached=7,
    cached_at=0,
    cached_interval=900,
    last_price=2_000,
    last_time=1_500,
    answered=True,
    decimals=8,
    round=3,
    answer=2_000,
    updated_at=1_500,
    through_uniswap=False,
)
KNOWN = Observations((1_000, 1_500), (1_000, 2_000), (0, 500_000), 2)
SCALE = 10**10  # from the feed's 8 decimals to the dispatcher's 18


def twap(reading: FeedReading, known: Observations, interval: int, now: int) -> int:
    return index_price(SOURCE, reading, known, interval, now) // SCALE


def test_no_interval_is_the_newest_answer() -> None:
    assert twap(READING, KNOWN, 0, 2_000) == 2_000


def test_a_mean_weighs_prices_by_their_time() -> None:
    assert twap(READING, KNOWN, 1_000, 2_000) == (500 * 1_000 + 500 * 2_000) // 1_000
    assert twap(READING, KNOWN, 250, 2_000) == 2_000


def test_an_answer_that_nobody_cached_counts_from_when_it_was_given() -> None:
    newer = replace(READING, answer=4_000, updated_at=1_900)
    assert twap(newer, KNOWN, 500, 2_000) == (400 * 2_000 + 100 * 4_000) // 500


def test_beyond_the_oldest_observation_it_is_the_newest_answer() -> None:
    assert twap(READING, KNOWN, 1_500, 2_000) == 2_000


def test_beyond_what_is_known_of_an_older_feed_it_is_refused() -> None:
    with pytest.raises(Refused, match="from before start_block"):
        twap(replace(READING, newest=9), KNOWN, 1_500, 2_000)
    with pytest.raises(Refused, match="from before start_block"):  # as many, but the first is another
        twap(replace(READING, first_at=900), KNOWN, 1_500, 2_000)


def test_the_cached_mean_is_taken_at_its_own_second_alone() -> None:
    cached = replace(READING, cached_at=2_000)
    assert twap(cached, KNOWN, 900, 2_000) == 7
    assert twap(cached, KNOWN, 900, 2_001) != 7
    assert twap(cached, KNOWN, 899, 2_000) != 7


def test_a_fall_that_nobody_cached_for_too_long_is_refused_as_the_contract_reverts() -> None:
    fallen = replace(READING, answer=10, updated_at=1_600)
    with pytest.raises(Refused, match="recorded no observation since") as caught:
        twap(fallen, KNOWN, 900, 9_000)
    assert caught.value.code == "unpriced"


@pytest.mark.parametrize(
    "change",
    [
        {"answered": False},
        {"decimals": 9},
        {"round": 0},
        {"answer": 0},
        {"answer": -5},
        {"updated_at": 1_499},
        {"updated_at": 2_001},
        {"updated_at": 0},
    ],
)
def test_an_answer_that_is_not_valid_leaves_the_last_one_that_was(change: dict[str, int]) -> None:
    odd = replace(READING, **{"answer": 3_000, "updated_at": 1_900, **change})  # type: ignore[arg-type]
    assert latest(SOURCE, odd, 2_000) == (2_000, 1_500)


def test_an_answer_from_the_future_is_valid_once_its_time_has_come() -> None:
    ahead = replace(READING, answer=3_000, updated_at=2_100)
    assert latest(SOURCE, ahead, 2_099) == (2_000, 1_500)
    assert latest(SOURCE, ahead, 2_100) == (3_000, 2_100)


def test_a_feed_that_contradicts_its_observations_is_refused() -> None:
    with pytest.raises(Refused, match="does not fit the observations"):
        twap(replace(READING, last_price=2_001), KNOWN, 900, 2_000)


def test_a_dispatcher_that_may_turn_to_a_pool_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="Uniswap pool") as caught:
        twap(replace(READING, through_uniswap=True), KNOWN, 0, 2_000)
    assert caught.value.code == "unsupported"


@pytest.mark.parametrize("word", [0, 1, -1, 2**127, -(2**127), 2**128, -(2**128) - 5, 2**255 - 1, -(2**255)])
def test_a_word_survives_its_halves(word: int) -> None:
    high, low = halves(word)
    assert -(2**127) <= high < 2**127
    assert -(2**127) <= low < 2**127
    assert signed_whole(high, low) == word
    assert whole(high, low) == word % 2**256
