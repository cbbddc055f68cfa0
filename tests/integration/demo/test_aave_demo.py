"""The demo of real Aave v3, whole: the daemon clears a crashing market, and earned what its executor has more."""

from dataclasses import replace
from pathlib import Path

import pytest

from keeper.app.daemon import Daemon
from keeper.demo import run
from keeper.demo.run import DemoOptions, run_demo
from keeper.execute.journal.journal import open_history
from keeper.observe.pnl import NATIVE, summarise
from keeper.sim.keeper import JOURNAL
from keeper.sim.markets.aave_v3 import VERSIONS
from keeper.sim.markets.aave_v3.market import AaveSimMarket, market_factory
from keeper.sim.node.client import Node


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_crashing_market_is_cleared_and_the_journal_is_the_balance(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played, markets = market_factory(version), list[AaveSimMarket]()

    def deploy(node: Node, scale: float) -> AaveSimMarket:
        markets.append(played.deploy(node, scale))
        return markets[0]

    monkeypatch.setattr(run, "market_factory_of", lambda protocol: replace(played, deploy=deploy))
    gains: list[dict[bytes, int]] = []
    options = DemoOptions(50, 30, 4, as_json=True, data_dir=tmp_path, pace_s=0.05, protocol="aave_v3")
    result = await run_demo(options, Daemon, lambda _: gains.append(gained(markets[0])))
    assert result.missed == 0
    assert result.liquidatable > 10
    assert result.profit_usd > 0
    assert result.mined == result.partial + result.full
    assert result.rescued == result.liquidatable
    assert gains == [journal_profit(tmp_path)]


def gained(market: AaveSimMarket) -> dict[bytes, int]:
    """What the executor has beyond what it was given."""
    found = {}
    for spec in market.deployed.listing.reserves:
        token = market.deployed.reserves[spec.symbol].token
        given = int(market.capital / spec.dollars * 10**spec.decimals)
        found[token] = market.deployed.balance(token, market.executor) - given
    return {token: units for token, units in found.items() if units}


def journal_profit(directory: Path) -> dict[bytes, int]:
    """What the books say of tokens."""
    history = open_history(JOURNAL, directory)
    try:
        profit = summarise(history.intents()).profit
    finally:
        history.close()
    return {token: units for token, units in profit.items() if units and token != NATIVE}
