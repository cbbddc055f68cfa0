"""Accounts of the reference protocol that a crash makes unsafe, for the run that checks sizes."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from keeper.model.health import WAD
from keeper.protocols.base import Snapshot
from keeper.protocols.margin_engine.health import equity_requirement
from keeper.protocols.margin_engine.reads import EngineReadings, FeedAnswer
from keeper.protocols.margin_engine.state import holdings_of
from keeper.sim.markets.margin_engine.deploy import DeployedEngine, artifact, market_params
from keeper.sim.markets.margin_engine.listing import EngineMarketSpec
from keeper.sim.node.client import Tx
from tests.support.engine import EngineBench, account

WHO = account(1)

SCENE = st.fixed_dictionaries(
    {
        "wealth": st.integers(500, 400_000),  # dollars of collateral
        "mix": st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0, 2, 1)]),
        "markets": st.lists(
            st.tuples(st.sampled_from(("BTC", "ETH", "SOL")), st.sampled_from((-1, 1)), st.integers(5, 95)),
            min_size=1,
            max_size=3,
            unique_by=lambda market: market[0],
        ),
        "health_pct": st.sampled_from((99, 97, 90, 80, 65, 55, 45, 30, 10, -20, -60, -150)),
        "target_pct": st.sampled_from((100, 105, 110, 110, 120, 150)),
        "wait": st.integers(1, 3_000),
        "nudge": st.integers(-2_000, 2_000),
        "step_factor": st.sampled_from((1, 1, 3, 7)),  # governance may make steps coarser under open positions
    }
)


class Scenes:
    """Opens an account and moves a price against it."""

    def __init__(self, bench: EngineBench) -> None:
        self.bench = bench

    def open(self, scene: dict[str, Any]) -> bool:
        """Deposits by the mix; positions that use a share of the initial margin."""
        bench, market = self.bench, self.bench.deployed
        prices = {"USDC": 1, "WBTC": 60_000, "WETH": 3_000}
        places = {"USDC": 6, "WBTC": 8, "WETH": 18}
        parts = dict(zip(prices, scene["mix"], strict=True))
        txs = []
        for symbol, part in parts.items():
            units = scene["wealth"] * part * 10 ** places[symbol] // (sum(scene["mix"]) * prices[symbol])
            if units:
                data = market.call("depositFor", WHO, market.tokens[symbol], units)
                txs.append(Tx(market.owner, market.engine, data))
        for name, sign, percent in scene["markets"]:
            spec = spec_of(market, name)
            rate = spec.tiers[0][1] * 2 / 10_000
            dollars = scene["wealth"] * 0.8 * percent / 100 / rate / len(scene["markets"])
            size = int(dollars / market.listing.feeds[spec.feed][1] * 1e18) // spec.step * spec.step
            while size and not self.margin_allows(spec, size, scene["wealth"] * 0.8 / len(scene["markets"])):
                size = size * 2 // 3 // spec.step * spec.step
            if size:
                txs.append(market.trade(WHO, name, sign * size))
        timestamp = bench.head().timestamp + 1
        bench.mine_at(timestamp, *txs)
        # A little more at another price: what a position cost is no longer a multiple of its size.
        nudge = [
            market.set_price(spec.feed, market.listing.feeds[spec.feed][1] * (1 + scene["nudge"] / 1_234_567))
            for spec in market.listing.markets
        ]
        more = [market.trade(WHO, name, sign * spec_of(market, name).step) for name, sign, _ in scene["markets"]]
        bench.mine_at(timestamp + 77, *nudge)
        bench.mine_at(timestamp + 200, *more)
        if scene["step_factor"] > 1:
            bench.mine_at(timestamp + 201, *(self.coarser(name, scene["step_factor"]) for name, *_ in scene["markets"]))
        return True

    def coarser(self, name: str, factor: int) -> Tx:
        market = self.bench.deployed
        spec = spec_of(market, name)
        params = market_params(market, replace(spec, step=spec.step * factor))
        data = market.call("configureMarket", market.markets[name], params, spec.brackets())
        return Tx(market.owner, market.engine, data)

    def margin_allows(self, spec: EngineMarketSpec, size: int, budget: float) -> bool:
        notional = size / WAD * self.bench.deployed.listing.feeds[spec.feed][1]
        tier = [tier for tier in spec.brackets() if tier[0] / WAD <= notional][-1]
        return 2.05 * (notional * tier[1] / WAD - tier[2] / WAD) < budget

    def crash(self, scene: dict[str, Any]) -> bool:
        """Move one feed against the account until its health is about what the scene asks for."""
        bench = self.bench
        snapshot = bench.snapshot()
        holdings = holdings_of(snapshot.columns, 0)
        if not holdings.positions:
            return False
        id_, position = holdings.positions[0]
        feed = snapshot.state.markets[id_].rules.source.feed
        answer = snapshot.readings.feeds[feed].answer
        low, high = 0.0, 1.0  # share of the way to the worst price
        for _ in range(40):
            middle = (low + high) / 2
            if self.health_pct(snapshot, feed, moved(answer, position.size, middle)) > scene["health_pct"]:
                low = middle
            else:
                high = middle
        label = next(label for label, address in bench.deployed.feeds.items() if address == feed)
        data = artifact("SettableFeed")[0].functions["set"].encode(moved(answer, position.size, high))
        bench.mine_at(snapshot.block.timestamp + 5, Tx(bench.deployed.owner, bench.deployed.feeds[label], data))
        snapshot = bench.snapshot()
        return bench.protocol.health(snapshot, 0, snapshot.block.timestamp).liquidatable

    def health_pct(self, snapshot: Snapshot, feed: bytes, answer: int) -> float:
        feeds = {**snapshot.readings.feeds, feed: FeedAnswer(answer, snapshot.block.timestamp)}
        holdings = holdings_of(snapshot.columns, 0)
        equity, requirement = equity_requirement(
            snapshot.state, EngineReadings(feeds), holdings, snapshot.block.timestamp
        )
        return 100 * equity / requirement


def spec_of(market: DeployedEngine, name: str) -> EngineMarketSpec:
    """What was listed under a market's name."""
    return next(spec for spec in market.listing.markets if spec.symbol == name)


def moved(answer: int, size: int, share: float) -> int:
    """A feed's answer moved against a position: down to a twentieth, or up to three times."""
    worst = answer // 20 if size > 0 else answer * 3
    return answer + int((worst - answer) * share)
