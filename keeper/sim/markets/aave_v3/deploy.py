"""Deploys unmodified Aave v3 on a development node, lists its reserves, and supplies them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode

from keeper.model.chain import unhexed
from keeper.sim.markets.aave_v3.actions import PRICE_DECIMALS, DeployedAave, ReserveContracts
from keeper.sim.markets.aave_v3.contracts import V3_0_2, V3_6, Contracts, contracts_of
from keeper.sim.markets.aave_v3.listing import DEMO, AaveListing, ReserveSpec
from keeper.sim.markets.exits import PricedToken, deploy_exits
from keeper.sim.node.artifacts import Artifact, TxBatch, ask, created, forged
from keeper.sim.node.client import Node

BPS = 10**23  # in ray
ZERO = bytes(20)
TREASURY = bytes.fromhex("7ea50000000000000000000000000000007ea500")
_INIT_GAS = 6_000_000
_UINT256_MAX = 2**256 - 1
_INPUT_V302 = (
    "initReserves((address,address,address,uint8,address,address,address,address,"
    "string,string,string,string,string,string,bytes)[])"
)
_INPUT_V36 = "initReserves((address,address,address,string,string,string,string,bytes,bytes)[])"


@dataclass(frozen=True, slots=True)
class _Work:
    """A deployment while it is queued."""

    batch: TxBatch
    contracts: Contracts
    listing: AaveListing
    tokens: Mapping[str, bytes]
    provider: bytes
    pool: bytes
    configurator: bytes

    def configure(self, signature: str, *args: Any, gas: int | None = None) -> None:
        """Call a function of the configurator."""
        self.batch.call(self.configurator, signature, *args, gas=gas)


def deploy(node: Node, version: str = V3_6, listing: AaveListing = DEMO, owner: bytes | None = None) -> DeployedAave:
    """A market with filled reserves and traded exits. `owner`: an unlocked account, admin of everything.

    Raises OperatorError when the packages are not installed.
    """
    batch = TxBatch(node, owner or unhexed(node.rpc("eth_accounts")[0]))
    work = _begin(batch, contracts_of(version), version, listing)
    feeds = {spec.symbol: _feed(batch, spec.dollars) for spec in listing.reserves}
    emode_feeds = {
        mode.number: _feed(batch, mode.dollars) for mode in listing.emodes if mode.dollars and version == V3_0_2
    }
    oracle = _set_oracle(work, feeds, emode_feeds)
    (_list_v302 if version == V3_0_2 else _list_v36)(work)
    (_emodes_v302(work, emode_feeds) if version == V3_0_2 else _emodes_v36(work))
    for spec in listing.reserves:
        _fill(work, spec)
    traded = {
        spec.symbol: PricedToken(work.tokens[spec.symbol], spec.decimals, spec.dollars) for spec in listing.reserves
    }
    exits = deploy_exits(batch, traded, listing.exits, "mint(address,uint256)")
    start_block = batch.send()
    return DeployedAave(
        node=node,
        version=version,
        listing=listing,
        owner=batch.sender,
        chain_id=int(node.rpc("eth_chainId"), 16),
        start_block=start_block,
        provider=work.provider,
        pool=work.pool,
        configurator=work.configurator,
        oracle=oracle,
        reserves={symbol: _reserve(node, work, token, feeds[symbol]) for symbol, token in work.tokens.items()},
        emode_feeds=emode_feeds,
        exits=exits,
    )


def _begin(batch: TxBatch, contracts: Contracts, version: str, listing: AaveListing) -> _Work:
    """Provider, access control, the pool and its configurator behind their proxies; tokens."""
    owner = batch.sender
    provider = batch.create(contracts("PoolAddressesProvider"), "keeper demo", owner)
    batch.call(provider, "setACLAdmin(address)", owner)
    acl = batch.create(contracts("ACLManager"), provider)
    batch.call(provider, "setACLManager(address)", acl)
    for role in ("Pool", "Emergency", "AssetListing", "Risk"):
        batch.call(acl, f"add{role}Admin(address)", owner)
    pool, configurator = _implementations(batch, contracts, provider, version)
    batch.call(provider, "setPoolImpl(address)", pool, gas=_INIT_GAS)
    batch.call(provider, "setPoolConfiguratorImpl(address)", configurator, gas=_INIT_GAS)
    data_provider = batch.create(contracts("AaveProtocolDataProvider"), provider)
    batch.call(provider, "setPoolDataProvider(address)", data_provider)
    tokens = {spec.symbol: batch.create(forged("TestToken"), spec.symbol, spec.decimals) for spec in listing.reserves}
    return _Work(batch, contracts, listing, tokens, provider, created(provider, 1), created(provider, 2))


def _implementations(batch: TxBatch, contracts: Contracts, provider: bytes, version: str) -> tuple[bytes, bytes]:
    """(pool, configurator) with their libraries."""
    libraries = {"BorrowLogic": batch.create(contracts("BorrowLogic"))}
    libraries["FlashLoanLogic"] = batch.create(contracts("FlashLoanLogic"), libraries=libraries)
    names = ["SupplyLogic", "LiquidationLogic", "PoolLogic", "ConfiguratorLogic"]
    names += ["EModeLogic", "BridgeLogic"] if version == V3_0_2 else []
    libraries |= {name: batch.create(contracts(name)) for name in names}

    def create(artifact: Artifact, *args: Any) -> bytes:
        return batch.create(artifact, *args, libraries=libraries)

    if version == V3_0_2:
        return create(contracts("Pool"), provider), create(contracts("PoolConfigurator"))
    strategy = batch.create(contracts("DefaultReserveInterestRateStrategyV2"), provider)
    return create(contracts("PoolInstance"), provider, strategy), create(contracts("PoolConfiguratorInstance"))


def _feed(batch: TxBatch, dollars: float) -> bytes:
    return batch.create(forged("SettableFeed"), PRICE_DECIMALS, round(dollars * 10**PRICE_DECIMALS))


def _set_oracle(work: _Work, feeds: Mapping[str, bytes], emode_feeds: Mapping[int, bytes]) -> bytes:
    """The price oracle. The feed of an eMode is listed like an asset: 3.0.2 reads it like that."""
    assets = [*work.tokens.values(), *emode_feeds.values()]
    sources = [*feeds.values(), *emode_feeds.values()]
    arguments = (work.provider, assets, sources, ZERO, ZERO, 10**PRICE_DECIMALS)
    oracle = work.batch.create(work.contracts("AaveOracle"), *arguments)
    work.batch.call(work.provider, "setPriceOracle(address)", oracle)
    return oracle


# Reserves.


def _list_v302(work: _Work) -> None:
    batch, make = work.batch, work.contracts
    a_token, stable, variable = (
        batch.create(make(name), work.pool) for name in ("AToken", "StableDebtToken", "VariableDebtToken")
    )
    for spec in work.listing.reserves:
        symbol, rates, token = spec.symbol, spec.rates, work.tokens[spec.symbol]
        curve = [bps * BPS for bps in (rates.optimal, rates.base, rates.slope1, rates.slope2)]
        stable_curve = [bps * BPS for bps in (rates.slope1, rates.slope2, 100, 800, 2_000)]
        strategy = batch.create(make("DefaultReserveInterestRateStrategy"), work.provider, *curve, *stable_curve)
        names = (f"a{symbol}", f"a{symbol}", f"v{symbol}", f"v{symbol}", f"s{symbol}", f"s{symbol}")
        made = (a_token, stable, variable, spec.decimals, strategy, token, TREASURY, ZERO, *names, b"")
        work.configure(_INPUT_V302, [made], gas=_INIT_GAS)
        _configure(work, spec)
        if spec.stable:
            work.configure("setReserveStableRateBorrowing(address,bool)", token, True)
    work.configure("updateFlashloanPremiumTotal(uint128)", work.listing.flash_premium)


def _list_v36(work: _Work) -> None:
    batch, make = work.batch, work.contracts
    a_token = batch.create(make("ATokenInstance"), work.pool, ZERO, TREASURY)
    variable = batch.create(make("VariableDebtTokenInstance"), work.pool, ZERO)
    for spec in work.listing.reserves:
        symbol, rates = spec.symbol, spec.rates
        curve = encode(["uint256"] * 4, [rates.optimal, rates.base, rates.slope1, rates.slope2])
        names = (f"a{symbol}", f"a{symbol}", f"v{symbol}", f"v{symbol}")
        work.configure(_INPUT_V36, [(a_token, variable, work.tokens[symbol], *names, b"", curve)], gas=_INIT_GAS)
        _configure(work, spec)
    work.configure("updateFlashloanPremium(uint128)", work.listing.flash_premium)


def _configure(work: _Work, spec: ReserveSpec) -> None:
    """Parameters of a reserve that both releases set by the same functions."""
    token = work.tokens[spec.symbol]
    work.configure("setReserveBorrowing(address,bool)", token, True)
    work.configure("setReserveFlashLoaning(address,bool)", token, True)
    work.configure("setReserveFactor(address,uint256)", token, spec.factor)
    work.configure("setLiquidationProtocolFee(address,uint256)", token, spec.fee)
    if spec.threshold:
        signature = "configureReserveAsCollateral(address,uint256,uint256,uint256)"
        work.configure(signature, token, spec.ltv, spec.threshold, spec.bonus)
    if spec.debt_ceiling:
        work.configure("setDebtCeiling(address,uint256)", token, spec.debt_ceiling)
    if spec.in_isolation:
        work.configure("setBorrowableInIsolation(address,bool)", token, True)
    if spec.siloed:
        work.configure("setSiloedBorrowing(address,bool)", token, True)


def _emodes_v302(work: _Work, feeds: Mapping[int, bytes]) -> None:
    for mode in work.listing.emodes:
        values = (mode.number, mode.ltv, mode.threshold, mode.bonus, feeds.get(mode.number, ZERO), mode.label)
        work.configure("setEModeCategory(uint8,uint16,uint16,uint16,address,string)", *values)
    for spec in work.listing.reserves:
        if spec.emode:
            work.configure("setAssetEModeCategory(address,uint8)", work.tokens[spec.symbol], spec.emode)


def _emodes_v36(work: _Work) -> None:
    for mode in work.listing.emodes:
        values = (mode.number, mode.ltv, mode.threshold, mode.bonus, mode.label)
        work.configure("setEModeCategory(uint8,uint16,uint16,uint16,string)", *values)
    for spec in work.listing.reserves:
        if spec.emode:
            for role in ("Collateral", "Borrowable"):
                signature = f"setAsset{role}InEMode(address,uint8,bool)"
                work.configure(signature, work.tokens[spec.symbol], spec.emode, True)


def _fill(work: _Work, spec: ReserveSpec) -> None:
    """Supply what can be borrowed, from the owner."""
    token, owner = work.tokens[spec.symbol], work.batch.sender
    units = int(spec.liquidity / spec.dollars) * 10**spec.decimals
    work.batch.call(token, "mint(address,uint256)", owner, units)
    work.batch.call(token, "approve(address,uint256)", work.pool, _UINT256_MAX)
    if units:
        work.batch.call(work.pool, "supply(address,uint256,address,uint16)", token, units, owner, 0)


def _reserve(node: Node, work: _Work, token: bytes, feed: bytes) -> ReserveContracts:
    """A reserve's tokens, as the data provider names them."""
    data_provider = ask(node, work.provider, "getPoolDataProvider()", returns=["address"])
    found = ask(
        node, data_provider, "getReserveTokensAddresses(address)", token, returns=["address", "address", "address"]
    )
    a_token, stable_debt, variable_debt = found
    return ReserveContracts(token, a_token, variable_debt, stable_debt, feed)
