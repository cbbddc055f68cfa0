"""Deploys the reference protocol on a development node with unlocked accounts, and opens accounts on it in bulk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from keeper.abi import Contract
from keeper.errors import OperatorError
from keeper.model.chain import unhexed
from keeper.model.health import WAD
from keeper.sim.keeper import write_deployment
from keeper.sim.markets.margin_engine.listing import DEMO, EngineCollateralSpec, EngineListing, EngineMarketSpec
from keeper.sim.node.artifacts import TxBatch, forged
from keeper.sim.node.client import Node, Tx, impersonate

OUT = Path(__file__).parents[4] / "contracts" / "out"
UINT256_MAX = 2**256 - 1


@cache
def artifact(name: str) -> tuple[Contract, bytes]:
    """ABI and creation code of a built contract. Raises OperatorError when it was not built."""
    path = OUT / f"{name}.sol" / f"{name}.json"
    try:
        built = json.loads(path.read_text())
    except OSError:
        raise OperatorError(f"{path} is missing: run `make contracts`") from None
    return Contract(built["abi"]), unhexed(built["bytecode"]["object"])


@dataclass(frozen=True, slots=True)
class EngineOpening:
    """What one account starts with: deposits as (token symbol, token units), trades as (market symbol, signed size)."""

    account: bytes
    deposits: tuple[tuple[str, int], ...]
    trades: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class DeployedEngine:
    """A deployed reference protocol. Tokens, feeds and markets by symbol; market ids are the engine's."""

    engine: bytes
    owner: bytes
    chain_id: int
    start_block: int
    listing: EngineListing
    tokens: Mapping[str, bytes]
    feeds: Mapping[str, bytes]
    markets: Mapping[str, int]
    collaterals: Mapping[str, int]  # ids by token symbol; the settlement token is 0

    def call(self, name: str, *args: Any) -> bytes:
        """Calldata of one of the engine's functions."""
        return artifact("MarginEngine")[0].functions[name].encode(*args)

    def set_price(self, feed: str, dollars: float) -> Tx:
        """The transaction that sets a feed, its answer rounded to the feed's decimals."""
        answer = round(dollars * 10**6) * 10 ** self.listing.feeds[feed][0] // 10**6
        return Tx(self.owner, self.feeds[feed], artifact("SettableFeed")[0].functions["set"].encode(answer))

    def mint(self, symbol: str, to: bytes, units: int) -> Tx:
        """The transaction that mints a test token."""
        return Tx(self.owner, self.tokens[symbol], artifact("TestToken")[0].functions["mint"].encode(to, units))

    def approve(self, symbol: str, owner: bytes) -> Tx:
        """The transaction by which `owner` lets the engine take a token without limit."""
        data = artifact("TestToken")[0].functions["approve"].encode(self.engine, UINT256_MAX)
        return Tx(owner, self.tokens[symbol], data)

    def trade(self, account: bytes, market: str, size: int) -> Tx:
        """A trade at any price."""
        limit = UINT256_MAX if size > 0 else 0
        return Tx(account, self.engine, self.call("trade", self.markets[market], size, limit))

    def write_deployment(self, path: Path) -> None:
        """The deployment file that the keeper reads."""
        write_deployment(path, "margin_engine", (self.chain_id, self.start_block), {"MarginEngine": self.engine})


def deploy(node: Node, listing: EngineListing = DEMO, owner: bytes | None = None) -> DeployedEngine:
    """Deploy tokens, feeds and the engine, list everything, fund pool and insurance. `owner`: an unlocked account."""
    batch = TxBatch(node, owner or unhexed(node.rpc("eth_accounts")[0]))
    decimals = {listing.settlement: listing.settlement_decimals}
    decimals |= {spec.symbol: spec.decimals for spec in listing.collaterals}
    tokens = {symbol: batch.create(forged("TestToken"), symbol, places) for symbol, places in decimals.items()}
    feeds = {
        label: batch.create(forged("SettableFeed"), places, dollars * 10**places)
        for label, (places, dollars) in listing.feeds.items()
    }
    engine = batch.create(forged("MarginEngine"), tokens[listing.settlement], batch.sender)
    market = DeployedEngine(
        engine=engine,
        owner=batch.sender,
        chain_id=int(node.rpc("eth_chainId"), 16),
        start_block=batch.send(),
        listing=listing,
        tokens=tokens,
        feeds=feeds,
        markets={spec.symbol: id_ for id_, spec in enumerate(listing.markets)},
        collaterals={symbol: id_ for id_, symbol in enumerate(decimals)},
    )
    node.send(*_listing_txs(market), *_funding_txs(market))
    return market


def collateral_params(market: DeployedEngine, spec: EngineCollateralSpec) -> tuple[Any, ...]:
    """The contract's CollateralParams."""
    unit = 10**spec.decimals
    _, dollars = market.listing.feeds[spec.feed]
    gift = spec.min_gift * unit // dollars
    return (market.feeds[spec.feed], spec.heartbeat_s, spec.weight, spec.discount, spec.cap * unit, gift)


def market_params(market: DeployedEngine, spec: EngineMarketSpec) -> tuple[Any, ...]:
    """The contract's MarketParams."""
    return (
        market.feeds[spec.feed],
        spec.heartbeat_s,
        spec.initial_factor,
        spec.trading_fee,
        spec.penalty,
        spec.keeper_share,
        spec.max_funding_rate,
        spec.skew_scale,
        spec.max_open_interest,
        spec.block_cap * WAD,
        spec.min_notional * WAD,
        spec.step,
    )


def _listing_txs(market: DeployedEngine) -> list[Tx]:
    calls = [
        market.call("listCollateral", market.tokens[spec.symbol], collateral_params(market, spec))
        for spec in market.listing.collaterals
    ]
    calls += [
        market.call("listMarket", spec.symbol.encode().ljust(32, b"\0"), market_params(market, spec), spec.brackets())
        for spec in market.listing.markets
    ]
    return [Tx(market.owner, market.engine, call) for call in calls]


def _funding_txs(market: DeployedEngine) -> list[Tx]:
    listing = market.listing
    unit = 10**listing.settlement_decimals
    return [
        market.mint(listing.settlement, market.owner, (listing.pool + listing.insurance_fund) * unit),
        market.approve(listing.settlement, market.owner),
        Tx(market.owner, market.engine, market.call("fundPool", listing.pool * unit)),
        Tx(market.owner, market.engine, market.call("fundInsurance", listing.insurance_fund * unit)),
    ]


def open_accounts(node: Node, market: DeployedEngine, openings: Sequence[EngineOpening]) -> list[tuple[bytes, str]]:
    """Open accounts: the owner deposits for all of them, each account trades for itself, impersonated.

    Returns (account, market symbol) of trades that the engine refused, for want of margin for instance.
    """
    totals: dict[str, int] = {}
    for opening in openings:
        for symbol, units in opening.deposits:
            totals[symbol] = totals.get(symbol, 0) + units
    deposits = [
        Tx(market.owner, market.engine, market.call("depositFor", opening.account, market.tokens[symbol], units))
        for opening in openings
        for symbol, units in opening.deposits
    ]
    prepared = [market.mint(symbol, market.owner, units) for symbol, units in totals.items()]
    prepared += [market.approve(symbol, market.owner) for symbol in totals]
    node.send(*prepared, *deposits)
    impersonate(node, [opening.account for opening in openings])
    trades = [(opening.account, symbol, size) for opening in openings for symbol, size in opening.trades]
    receipts = node.try_send([market.trade(*trade) for trade in trades])
    return [
        (account, symbol)
        for (account, symbol, _), receipt in zip(trades, receipts, strict=True)
        if int(receipt["status"], 16) != 1
    ]
