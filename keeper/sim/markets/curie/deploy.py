"""Deploys unmodified Perpetual Protocol v2 2.8.4 on a development node, behind proxies as on mainnet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keeper.model.chain import unhexed
from keeper.sim.markets.curie.actions import (
    ARBITRAGEUR,
    MARKET_MAKER,
    UINT256_MAX,
    DeployedCurie,
    FeedContracts,
    MarketContracts,
)
from keeper.sim.markets.curie.listing import DEMO, CurieListing, CurieMarketSpec
from keeper.sim.markets.exits import Exits, PricedToken, deploy_exits, sqrt_price
from keeper.sim.markets.uniswap import pool_address
from keeper.sim.node.artifacts import Artifact, TxBatch, calldata, forged, packaged
from keeper.sim.node.client import Node

CORE = "@perp/curie-contract"
PROXIES = f"{CORE}/node_modules/@openzeppelin/contracts"
FEEDS = "@perp/perp-oracle-contract"
WARM_UP_S = 1_801  # the pools' observations reach back that far: before, no view of margin answers
DEEP_POCKET = 10**12  # dollars of the market maker, and of the arbitrageur
_CARDINALITY_GAS = 25_000  # an observation
_POOL_GAS = 6_000_000


def core(name: str) -> Artifact:
    """A contract of the protocol, as its package carries it."""
    return packaged(CORE, "artifacts", "contracts", f"{name}.sol", f"{name}.json")


def feed_contract(name: str) -> Artifact:
    """A contract of the protocol's price feeds."""
    return packaged(FEEDS, "artifacts", "contracts", f"{name}.sol", f"{name}.json")


@dataclass(slots=True)
class _Build:
    """A deployment under way. `at`: contracts by name."""

    batch: TxBatch
    listing: CurieListing
    admin: bytes = b""
    at: dict[str, bytes] = field(default_factory=dict)

    def proxy(self, name: str, signature: str, *args: Any) -> None:
        """A contract and the proxy that is initialized with it."""
        self.at[name] = self._proxied(self.batch.create(core(name)), signature, *args)

    def _proxied(self, logic: bytes, signature: str, *args: Any) -> bytes:
        proxy = packaged(PROXIES, "build", "contracts", "TransparentUpgradeableProxy.json")
        return self.batch.create(proxy, logic, self.admin, calldata(signature, *args))

    def call(self, name: str, signature: str, *args: Any) -> None:
        """A function of one of the contracts."""
        self.batch.call(self.at[name], signature, *args)

    def virtual_tokens(self, feeds: Mapping[str, FeedContracts]) -> dict[str, bytes]:
        """The base tokens by market symbol. They must sort below the quote token: it gets the greatest address."""
        base, quote = self.batch.create(core("BaseToken")), self.batch.create(core("QuoteToken"))
        markets, tokens = list(self.listing.markets), {}
        places = self.batch.upcoming(len(markets) + 1)
        for place in places:
            if place == max(places):
                self.at["QuoteToken"] = self._proxied(quote, "initialize(string,string)", "vUSD", "vUSD")
            else:
                spec = markets.pop()
                names = (spec.symbol, spec.symbol, feeds[spec.feed].dispatcher)
                tokens[spec.symbol] = self._proxied(base, "initialize(string,string,address)", *names)
        return tokens


def deploy(node: Node, listing: CurieListing = DEMO, owner: bytes | None = None) -> DeployedCurie:
    """An open market: its pools have liquidity, and 30 minutes have passed. `owner`: an unlocked account.

    Raises OperatorError when the packages are not installed.
    """
    build = _Build(TxBatch(node, owner or unhexed(node.rpc("eth_accounts")[0])), listing)
    batch = build.batch
    build.admin = batch.create(packaged(PROXIES, "build", "contracts", "ProxyAdmin.json"))
    decimals = {listing.settlement: listing.settlement_decimals}
    decimals |= {spec.symbol: spec.decimals for spec in listing.collaterals}
    tokens = {symbol: batch.create(forged("TestToken"), symbol, places) for symbol, places in decimals.items()}
    feeds = {label: _feed(build, *given) for label, given in listing.feeds.items()}
    exits = deploy_exits(batch, _traded(listing, tokens, decimals), listing.exits, "mint(address,uint256)")
    build.proxy("ClearingHouseConfig", "initialize()")
    build.proxy("InsuranceFund", "initialize(address)", tokens[listing.settlement])
    bases = build.virtual_tokens(feeds)
    _contracts(build, exits.uniswap.factory)
    _settings(build)
    places = {spec.symbol: _market(build, spec, bases[spec.symbol], exits) for spec in listing.markets}
    _list_collaterals(build, tokens, feeds)
    _fill(build, tokens)
    start_block, chain_id = batch.send(), int(node.rpc("eth_chainId"), 16)
    deployed = DeployedCurie(node, batch.sender, chain_id, start_block, listing, build.at, tokens, feeds, places, exits)
    deployed.admit(MARKET_MAKER, ARBITRAGEUR)
    deployed.warp(WARM_UP_S)
    node.send(*deployed.maker_liquidity())
    return deployed


def _traded(listing: CurieListing, tokens: Mapping[str, bytes], decimals: Mapping[str, int]) -> dict[str, PricedToken]:
    dollars = {listing.settlement: 1.0} | {spec.symbol: listing.feeds[spec.feed][1] for spec in listing.collaterals}
    return {symbol: PricedToken(tokens[symbol], decimals[symbol], float(dollars[symbol])) for symbol in tokens}


def _feed(build: _Build, decimals: int, dollars: float) -> FeedContracts:
    """An aggregator that anyone may set, the protocol's feed on it, and its dispatcher."""
    terms = build.listing.parameters
    aggregator = build.batch.create(forged("SettableFeed"), decimals, round(dollars * 10**decimals))
    feed = build.batch.create(feed_contract("ChainlinkPriceFeedV3"), aggregator, terms.feed_timeout_s, terms.twap_s)
    return FeedContracts(decimals, aggregator, feed, build.batch.create(feed_contract("PriceFeedDispatcher"), feed))


def _contracts(build: _Build, factory: bytes) -> None:
    """The contracts around the virtual tokens, and their addresses set in each other."""
    at = build.at
    two, three, four, seven = (f"initialize({','.join(['address'] * count)})" for count in (2, 3, 4, 7))
    config, fund, quote = at["ClearingHouseConfig"], at["InsuranceFund"], at["QuoteToken"]
    build.proxy("MarketRegistry", two, factory, quote)
    build.proxy("OrderBook", "initialize(address)", at["MarketRegistry"])
    build.proxy("Exchange", three, at["MarketRegistry"], at["OrderBook"], config)
    build.proxy("AccountBalance", two, config, at["OrderBook"])
    exchange, accounts = at["Exchange"], at["AccountBalance"]
    build.proxy("Vault", four, fund, config, accounts, exchange)
    build.call("OrderBook", "setExchange(address)", exchange)
    build.call("Exchange", "setAccountBalance(address)", accounts)
    build.proxy("ClearingHouse", seven, config, at["Vault"], quote, factory, exchange, accounts, fund)
    build.proxy("DelegateApproval", "initialize()")
    for name in ("MarketRegistry", "OrderBook", "Exchange", "AccountBalance", "Vault"):
        build.call(name, "setClearingHouse(address)", at["ClearingHouse"])
    for name in ("AccountBalance", "InsuranceFund"):
        build.call(name, "setVault(address)", at["Vault"])
    build.call("ClearingHouse", "setDelegateApproval(address)", at["DelegateApproval"])
    _virtual(build, quote)


def _settings(build: _Build) -> None:
    """The collateral manager, and the owner's parameters."""
    at, terms, unit = build.at, build.listing.parameters, 10**build.listing.settlement_decimals
    ratios = (terms.debt_ratio, terms.liquidation_ratio, terms.buffer, terms.insurance_fee)
    limits = (terms.debt_threshold * unit, terms.dust * unit)
    signature = "initialize(address,address,uint8,uint24,uint24,uint24,uint24,uint256,uint256)"
    places = (at["ClearingHouseConfig"], at["Vault"])
    build.proxy("CollateralManager", signature, *places, terms.most_collaterals, *ratios, *limits)
    build.call("Vault", "setCollateralManager(address)", at["CollateralManager"])
    given = {
        "setSettlementTokenBalanceCap(uint256)": UINT256_MAX,
        "setLiquidationPenaltyRatio(uint24)": terms.penalty,
        "setMaxFundingRate(uint24)": terms.most_funding,
        "setTwapInterval(uint32)": terms.twap_s,
        "setMarkPriceMarketTwapInterval(uint32)": terms.mark_twap_s,
        "setMarkPricePremiumInterval(uint32)": terms.premium_s,
    }
    for setter, value in given.items():
        build.call("ClearingHouseConfig", setter, value)


def _list_collaterals(build: _Build, tokens: Mapping[str, bytes], feeds: Mapping[str, FeedContracts]) -> None:
    signature = "addCollateral(address,(address,uint24,uint24,uint256))"
    for spec in build.listing.collaterals:
        config = (feeds[spec.feed].dispatcher, spec.weight, spec.discount, spec.cap * 10**spec.decimals)
        build.call("CollateralManager", signature, tokens[spec.symbol], config)


def _fill(build: _Build, tokens: Mapping[str, bytes]) -> None:
    """Dollars for insurance fund, market maker and arbitrageur; approvals so that the owner can deposit for anyone."""
    batch, usd, unit = build.batch, tokens[build.listing.settlement], 10**build.listing.settlement_decimals
    batch.call(usd, "mint(address,uint256)", build.at["InsuranceFund"], build.listing.insurance_fund * unit)
    for token in tokens.values():
        batch.call(token, "approve(address,uint256)", build.at["Vault"], UINT256_MAX)
    batch.call(usd, "mint(address,uint256)", batch.sender, 2 * DEEP_POCKET * unit)
    for rich in (MARKET_MAKER, ARBITRAGEUR):
        build.call("Vault", "depositFor(address,address,uint256)", rich, usd, DEEP_POCKET * unit)


def _virtual(build: _Build, token: bytes) -> None:
    """Mint a virtual token to the clearing house."""
    build.batch.call(token, "mintMaximumTo(address)", build.at["ClearingHouse"])
    build.batch.call(token, "addWhitelist(address)", build.at["ClearingHouse"])


def _market(build: _Build, spec: CurieMarketSpec, base: bytes, exits: Exits) -> MarketContracts:
    """A pool of virtual tokens and the market on it."""
    batch, quote, registry = build.batch, build.at["QuoteToken"], build.at["MarketRegistry"]
    _virtual(build, base)
    batch.call(exits.uniswap.factory, "createPool(address,address,uint24)", base, quote, spec.pool_fee, gas=_POOL_GAS)
    pool = pool_address(exits.uniswap.factory, base, quote, spec.pool_fee)
    for token in (base, quote):
        batch.call(token, "addWhitelist(address)", pool)
    batch.call(pool, "initialize(uint160)", sqrt_price(build.listing.feeds[spec.feed][1]))
    gas = 200_000 + _CARDINALITY_GAS * spec.cardinality
    batch.call(pool, "increaseObservationCardinalityNext(uint16)", spec.cardinality, gas=gas)
    batch.call(registry, "addPool(address,uint24)", base, spec.pool_fee)
    batch.call(registry, "setFeeRatio(address,uint24)", base, spec.fee)
    batch.call(registry, "setInsuranceFundFeeRatio(address,uint24)", base, spec.insurance_fee)
    build.call("Exchange", "setMaxTickCrossedWithinBlock(address,uint24)", base, spec.most_ticks)
    return MarketContracts(base, pool)
