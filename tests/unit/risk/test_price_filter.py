"""Which accounts a doubtful price holds: those that are worth another dollar with it, not those that hold dust."""

from fractions import Fraction

import pytest
from eth_abi.abi import encode

from keeper.model.assessment import Assessment
from keeper.model.chain import CallResult
from keeper.model.health import WAD
from keeper.protocols.base import Snapshot
from keeper.protocols.margin_engine.state import EngineHoldings, EnginePosition
from keeper.risk.price_filter import PriceFilter
from keeper.risk.price_guard import Doubt, Verdict
from keeper.risk.screening import assess
from tests.support.engine_state import ETH_FEED, NOW, PROTOCOL, WETH_FEED, readings, snapshot, state

UNSAFE = ((0, EnginePosition(20 * WAD, 20_000 * WAD, 0)),)
FRESH = CallResult(True, encode(["uint80", "int256", "uint256", "uint256", "uint80"], [1, 10**11, NOW, NOW, 1]))


def held(holdings: EngineHoldings, feed: bytes) -> tuple[Assessment, list[str]]:
    """The assessment of an account while one feed is doubtful, and the messages of those that are held."""
    book: Snapshot = snapshot(state(), {b"\x11" * 20: holdings}, readings())
    doubt = Doubt("WETH", feed, "deviates", 1_000 * WAD, 2_000 * WAD, follow=False)
    found = PriceFilter(PROTOCOL, book, [FRESH, FRESH], Verdict((doubt,)), NOW)
    kept, rejected = found.without_held(assess(PROTOCOL, book, NOW))
    return kept, [rejection.message for rejection in rejected]


@pytest.mark.parametrize(("units", "holds"), [(1, False), (WAD // 881, False), (WAD // 879, True), (WAD, True)])
def test_a_doubtful_collateral_holds_who_has_a_dollar_of_it(units: int, holds: bool) -> None:
    worth = units * 88 * 1_000 // 100
    kept, messages = held(EngineHoldings(900 * WAD - worth, ((1, units),), UNSAFE), WETH_FEED)
    assert (len(kept.unsafe), len(messages)) == ((0, 1) if holds else (1, 0))
    assert Fraction(worth, WAD) >= 1 if holds else Fraction(worth, WAD) < 1


def test_a_doubtful_market_holds_everybody_who_is_in_it() -> None:
    kept, [message] = held(EngineHoldings(900 * WAD, (), UNSAFE), ETH_FEED)
    assert not kept.unsafe
    assert "differs from its reference" in message
