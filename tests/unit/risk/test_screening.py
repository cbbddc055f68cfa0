"""Screening: floats clear most accounts, integers decide the rest, and nobody is missed or accused."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from keeper.errors import Refused
from keeper.model.health import WAD, Health
from keeper.protocols.base import Screen, Snapshot
from keeper.risk.screening import assess
from tests.unit.risk.toy import BLOCK_TIME, Market, Toy, address, snapshot

Account = tuple[int, Mapping[int, int]]
PRICE = 2_000 * WAD

prices = st.lists(st.integers(1, 10**24), min_size=3, max_size=3).map(tuple)
sizes = st.dictionaries(st.integers(0, 2), st.integers(-(10**24), 10**24), max_size=3)
edges = st.one_of(st.integers(-5, 5), st.integers(-(10**22), 10**22))


def with_slack(sizes: Mapping[int, int], market: Market, slack: int, seconds: int) -> Account:
    """An account whose exact slack is `slack` so many seconds after the block."""
    book = snapshot([(0, sizes)], market)
    health = Toy().health(book, 0, BLOCK_TIME + seconds)
    return slack - (health.equity - health.requirement), sizes


@given(prices, st.lists(st.tuples(sizes, edges), max_size=12), st.integers(0, 10**15), st.integers(0, 60))
@settings(deadline=None)
def test_exactly_the_unsafe_accounts_are_found_however_close_to_the_threshold(
    prices: tuple[int, ...], book: list[tuple[dict[int, int], int]], charge: int, seconds: int
) -> None:
    market = Market(prices, charge)
    accounts = [with_slack(held, market, slack, seconds) for held, slack in book]
    at = snapshot(accounts, market)
    found = assess(Toy(), at, BLOCK_TIME + seconds)
    expected = {address(i) for i in range(len(book)) if Toy().health(at, i, BLOCK_TIME + seconds).liquidatable}
    assert {account.address for account in found.unsafe} == expected
    assert all(account.health == Toy().health(at, account.row, BLOCK_TIME + seconds) for account in found.unsafe)


def test_most_accounts_are_cleared_without_exact_arithmetic() -> None:
    accounts: list[Account] = [(10**21, {0: WAD})] * 500 + [(-(1950 * WAD), {0: WAD})]
    found = assess(Toy(), snapshot(accounts, Market((PRICE,))), BLOCK_TIME)
    assert (found.accounts, found.active, found.decided, len(found.unsafe)) == (501, 501, 1, 1)


def test_the_most_urgent_come_first_and_ties_go_by_address() -> None:
    debts = [1950, 1990, 1950, 2100]
    found = assess(Toy(), snapshot([(-debt * WAD, {0: WAD}) for debt in debts], Market((PRICE,))), BLOCK_TIME)
    assert [account.row for account in found.unsafe] == [3, 1, 0, 2]


def test_an_account_that_owes_and_holds_nothing_is_most_urgent_of_all() -> None:
    found = assess(Toy(), snapshot([(-2100 * WAD, {0: WAD}), (-1, {})], Market((PRICE,))), BLOCK_TIME)
    assert [account.row for account in found.unsafe] == [1, 0]


def test_health_is_taken_at_the_time_of_execution_not_of_the_block() -> None:
    book = snapshot([(-1899 * WAD, {0: WAD})], Market((PRICE,), charge=WAD))
    assert not assess(Toy(), book, BLOCK_TIME).unsafe
    assert not assess(Toy(), book, BLOCK_TIME + 1).unsafe
    assert assess(Toy(), book, BLOCK_TIME + 2).unsafe


def test_accounts_without_a_usable_price_are_named_and_not_judged() -> None:
    accounts: list[Account] = [(-(10**30), {1: WAD}), (10**21, {0: WAD}), (0, {})]
    found = assess(Toy(), snapshot(accounts, Market((PRICE, 0))), BLOCK_TIME)
    assert (found.unpriced, found.unsafe, found.active) == ((address(0),), (), 2)


def test_a_price_that_only_the_exact_evaluation_refuses_makes_the_account_unpriced() -> None:
    found = assess(Toy(blind=frozenset({0})), snapshot([(-(10**30), {0: WAD})], Market((PRICE,))), BLOCK_TIME)
    assert (found.unpriced, found.unsafe, found.nearest) == ((address(0),), (), None)


def test_the_nearest_healthy_account_is_told() -> None:
    accounts: list[Account] = [(0, {0: WAD}), (-1890 * WAD, {0: WAD}), (-1950 * WAD, {0: WAD}), (5, {})]
    found = assess(Toy(), snapshot(accounts, Market((PRICE,))), BLOCK_TIME)
    assert found.nearest is not None
    assert found.nearest.address == address(1)
    assert found.nearest.health == pytest.approx(1.1)


def test_an_empty_book_is_safe() -> None:
    found = assess(Toy(), snapshot([], Market((PRICE,))), BLOCK_TIME)
    assert (found.unsafe, found.active, found.nearest) == ((), 0, None)


class Broken(Toy):
    """A screen that cannot compute its slack."""

    def screen(self, snapshot: Snapshot, timestamp: int) -> Screen:
        screen = super().screen(snapshot, timestamp)
        return Screen(screen.slack * np.nan, screen.bound, screen.health, screen.active, screen.unpriced)


def test_a_slack_that_is_not_a_number_clears_nobody() -> None:
    found = assess(Broken(), snapshot([(-1950 * WAD, {0: WAD}), (0, {0: WAD})], Market((PRICE,))), BLOCK_TIME)
    assert (found.decided, len(found.unsafe)) == (2, 1)


class Unsupported(Toy):
    def health(self, snapshot: Snapshot, row: int, timestamp: int) -> Health:
        if row == 0:
            raise Refused("unsupported", "an odd position")
        return super().health(snapshot, row, timestamp)


def test_an_account_that_the_adapter_cannot_judge_is_named_with_its_reason_and_stops_nobody_else() -> None:
    accounts: list[Account] = [(-1950 * WAD, {0: WAD}), (-1950 * WAD, {0: WAD})]
    found = assess(Unsupported(), snapshot(accounts, Market((PRICE,))), BLOCK_TIME)
    assert found.refused == {address(0): ("unsupported", "an odd position")}
    assert [account.address for account in found.unsafe] == [address(1)]
    assert found.unpriced == ()
