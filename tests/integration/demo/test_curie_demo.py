"""The demo of real Perpetual Protocol v2, whole: the market is cleared, and the books are the executor's balance."""

from dataclasses import replace
from pathlib import Path

import pytest

from keeper.app.daemon import Daemon
from keeper.demo import run
from keeper.demo.run import DemoOptions, run_demo
from keeper.execute.journal.journal import open_history
from keeper.observe.pnl import NATIVE, summarise
from keeper.sim.keeper import JOURNAL
from keeper.sim.markets.curie import balance
from keeper.sim.markets.curie.market import CAPITAL_DOLLARS, CurieSimMarket, market_factory
from keeper.sim.node.client import Node

LITTLE = 10_000  # dollars; the largest position alone takes several times that as margin


@pytest.mark.parametrize("capital", [CAPITAL_DOLLARS, LITTLE])
async def test_a_crashing_market_is_cleared_and_the_journal_is_the_balance(
    capital: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played, markets = market_factory(capital), list[CurieSimMarket]()

    def deploy(node: Node, scale: float) -> CurieSimMarket:
        markets.append(played.deploy(node, scale))
        return markets[0]

    monkeypatch.setattr(run, "market_factory_of", lambda protocol: replace(played, deploy=deploy))
    gains: list[int] = []
    options = DemoOptions(24, 36, 6, as_json=True, data_dir=tmp_path, pace_s=0.05, protocol="curie")
    result = await run_demo(options, Daemon, lambda _: gains.append(gained(markets[0])))
    assert result.missed == 0
    assert result.liquidatable >= 3
    assert result.profit_usd > 0
    assert result.mined == result.partial + result.full + result.seized
    if capital == CAPITAL_DOLLARS:  # who comes late adds a penalty to what is owed
        assert result.bad_debt_usd < result.bad_debt_without_keeper_usd
    assert gains == [journal_profit(tmp_path, markets[0])]


def gained(market: CurieSimMarket) -> int:
    """What the executor has beyond what it was given, in units of the settlement token."""
    return balance(market.deployed, "USDC", market.executor) - market.capital * 10**6


def journal_profit(directory: Path, market: CurieSimMarket) -> int:
    """What the books say of it, and that they say nothing of other tokens."""
    history = open_history(JOURNAL, directory)
    try:
        profit = summarise(history.intents()).profit
    finally:
        history.close()
    assert {token for token, units in profit.items() if units} <= {NATIVE, market.deployed.tokens["USDC"]}
    return profit[market.deployed.tokens["USDC"]]
