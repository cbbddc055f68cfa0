"""The screen's bound holds: exact slack never leaves it, for books of any size, and stays small enough."""

import numpy as np
from hypothesis import given, settings, strategies as st

from keeper.model.health import WAD
from keeper.protocols.base import Snapshot
from keeper.protocols.margin_engine.reads import EngineReadings, FeedAnswer
from keeper.protocols.margin_engine.state import EngineHoldings, EnginePosition
from tests.support.engine_state import ETH_FEED, NOW, PROTOCOL, WETH_FEED, market, snapshot, state

TIERS = (
    ((0, 25 * 10**15), (100_000, 4 * 10**16 + 7), (1_000_000, 10**17 + 3)),
    ((0, 3 * 10**16),),
    ((0, 10**16), (3, 10**17), (10**9, 9 * 10**17)),
)
signed = st.integers(-(2**62), 2**62) | st.integers(-(2**96), 2**96) | st.integers(-(10**4), 10**4)
POSITION = st.tuples(signed, st.integers(-(2**126), 2**126) | signed, signed)
ACCOUNT = st.tuples(st.integers(-(2**126), 2**126) | signed, st.integers(0, 2**96), st.lists(POSITION, max_size=3))
PRICE = st.integers(1, 10**17) | st.integers(10**9, 10**13)


def book_of(accounts: list[tuple[int, int, list[tuple[int, int, int]]]], prices: list[int], skew: int) -> Snapshot:
    feeds = (ETH_FEED, WETH_FEED, b"\x01" * 20)
    markets = [
        market(id_, TIERS[id_], feeds[id_], funding_index=skew * 77, long_size=abs(skew), short_size=5)
        for id_ in range(3)
    ]
    holdings = {
        index.to_bytes(20, "big"): EngineHoldings(
            settlement,
            ((1, amount),),
            tuple((id_, EnginePosition(*values)) for id_, values in enumerate(positions) if values[0]),
        )
        for index, (settlement, amount, positions) in enumerate(accounts)
    }
    answers = {feed: FeedAnswer(price, NOW) for feed, price in zip(feeds, prices, strict=True)}
    return snapshot(state(*markets), holdings, EngineReadings(answers))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.lists(ACCOUNT, min_size=1, max_size=12),
    st.lists(PRICE, min_size=3, max_size=3),
    signed,
    st.integers(0, 3_600),
)
def test_exact_slack_lies_within_the_bound(
    accounts: list[tuple[int, int, list[tuple[int, int, int]]]], prices: list[int], skew: int, elapsed: int
) -> None:
    book = book_of(accounts, prices, skew)
    screen = PROTOCOL.screen(book, NOW + elapsed)
    for row in range(len(book.columns)):
        exact = PROTOCOL.health(book, row, NOW + elapsed)
        slack = exact.equity - exact.requirement
        # In exact integers: float64 could not tell the difference.
        off = abs(int(screen.slack[row] * 2**40) * WAD - slack * 2**40)
        assert off <= int(screen.bound[row] * 2**40 + 1) * WAD
        assert screen.active[row] == any(book.columns.holdings(row).values())
        if screen.health[row] != np.inf and abs(slack) > 2 * screen.bound[row] * WAD:
            assert (screen.health[row] < 1) == exact.liquidatable


def test_the_bound_of_an_ordinary_account_is_far_below_a_cent() -> None:
    account = (5_000 * WAD, WAD, [(50 * WAD, 50_000 * WAD, 0), (-30 * WAD, -30_000 * WAD, 5)])
    screen = PROTOCOL.screen(book_of([account], [10**11] * 3, WAD), NOW + 60)
    assert 0 < screen.bound[0] < 1e-6


def test_an_empty_book_is_screened() -> None:
    screen = PROTOCOL.screen(book_of([], [10**11] * 3, 0), NOW)
    assert len(screen.slack) == 0
    assert len(PROTOCOL.screen(snapshot(PROTOCOL.initial_state(), {}), NOW).slack) == 0
