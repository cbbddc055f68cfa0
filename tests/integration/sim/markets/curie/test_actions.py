"""The development market of Perpetual Protocol v2: the package's own bytecode, and people who do everything in it."""

import json
from collections.abc import Iterator

import pytest
from eth_utils.crypto import keccak

from keeper.model.chain import hexed, unhexed
from keeper.sim.markets.curie import (
    DEMO,
    MARKET_MAKER,
    CurieListing,
    CurieMarketSpec,
    DeployedCurie,
    OwnerParameters,
    balance,
    deploy,
)
from keeper.sim.markets.curie.accounts import build_openings
from keeper.sim.markets.curie.market import MARKET_FACTORY
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask, log_of, package_file
from keeper.sim.node.client import Node, Tx
from keeper.sim.player import GAS_LIMIT, Player

ALICE, BOB, CAROL = (bytes([letter]) * 20 for letter in (0xA1, 0xB0, 0xCA))
ETH = 10**18
USDC = 10**6
IMPLEMENTATION = hex(int.from_bytes(keccak(text="eip1967.proxy.implementation"), "big") - 1)


@pytest.fixture
def deployed() -> Iterator[DeployedCurie]:
    with Anvil(mining=False, gas_limit=GAS_LIMIT) as anvil:
        deployed = deploy(Node.at(anvil.url))
        deployed.admit(ALICE, BOB, CAROL)
        deployed.node.send(*deployed.fund(CAROL, "USDC", 10**6 * USDC), deployed.mint("USDC", CAROL, 10**6 * USDC))
        deployed.node.send(deployed.approve(CAROL, "USDC"))
        yield deployed


def reverts_with(deployed: DeployedCurie, tx: Tx) -> str:
    """The reason that a transaction would revert with now; empty when it would not."""
    assert tx.to is not None
    [receipt] = deployed.node.try_send([tx])
    if int(receipt["status"], 16) == 1:
        return ""
    call = {"from": hexed(tx.sender), "to": hexed(tx.to), "data": hexed(tx.data)}
    try:
        deployed.node.rpc("eth_call", call, receipt["blockNumber"])
    except Exception as error:  # noqa: BLE001 - the node's words
        return str(error)
    return "?"


def falls(deployed: DeployedCurie, label: str, market: str, dollars: float) -> None:
    """Oracle and pool together, and the 15 seconds that mark prices take to follow."""
    deployed.node.send(deployed.set_oracle(label, dollars), *deployed.move_pool(market, dollars))
    deployed.warp(16)


def value(deployed: DeployedCurie, account: bytes) -> tuple[int, int]:
    """(account value, margin requirement), 1e18 dollars."""
    house, accounts = deployed.contracts["ClearingHouse"], deployed.contracts["AccountBalance"]
    return (
        ask(deployed.node, house, "getAccountValue(address)", account, returns=["int256"]),
        ask(deployed.node, accounts, "getMarginRequirementForLiquidation(address)", account, returns=["int256"]),
    )


def size(deployed: DeployedCurie, account: bytes, market: str) -> int:
    """Of a position, 1e18."""
    where = (deployed.contracts["AccountBalance"], "getTotalPositionSize(address,address)", account)
    found: int = ask(deployed.node, *where, deployed.markets[market].base, returns=["int256"])
    return found


def test_what_runs_is_the_packages_own_bytecode(deployed: DeployedCurie) -> None:
    for name in ("ClearingHouse", "Vault", "AccountBalance", "Exchange", "OrderBook", "CollateralManager"):
        path = package_file("@perp/curie-contract", "artifacts", "contracts", f"{name}.sol", f"{name}.json")
        slot = deployed.node.rpc("eth_getStorageAt", hexed(deployed.contracts[name]), IMPLEMENTATION, "latest")
        code = deployed.node.rpc("eth_getCode", hexed(unhexed(slot)[12:]), "latest")
        assert code == json.loads(path.read_text())["deployedBytecode"], name


def test_the_markets_lie_in_the_same_factory_as_the_pools_for_collateral(deployed: DeployedCurie) -> None:
    registry, factory = deployed.contracts["MarketRegistry"], deployed.exits.uniswap.factory
    assert ask(deployed.node, registry, "getUniswapV3Factory()", returns=["address"]) == factory
    for place in deployed.markets.values():
        assert ask(deployed.node, registry, "getPool(address)", place.base, returns=["address"]) == place.pool
        assert place.base < deployed.contracts["QuoteToken"]


def test_a_long_that_fell_is_taken_over_and_closed(deployed: DeployedCurie) -> None:
    deployed.node.send(*deployed.fund(ALICE, "USDC", 3_000 * USDC))
    deployed.node.send(deployed.trade(ALICE, "vETH", 9 * ETH))
    assert "CH_EAV" in reverts_with(deployed, deployed.liquidate(CAROL, ALICE, "vETH"))
    falls(deployed, "ETH", "vETH", 2_830.0)
    account_value, requirement = value(deployed, ALICE)
    assert 0 < account_value < requirement
    deployed.node.send(deployed.liquidate(CAROL, ALICE, "vETH"))
    assert size(deployed, ALICE, "vETH") == size(deployed, CAROL, "vETH") == 45 * ETH // 10
    deployed.node.send(deployed.close(CAROL, "vETH"))
    assert size(deployed, CAROL, "vETH") == 0


def test_a_short_can_be_closed_and_withdrawn(deployed: DeployedCurie) -> None:
    deployed.node.send(*deployed.fund(ALICE, "USDC", 3_000 * USDC))
    deployed.node.send(deployed.trade(ALICE, "vBTC", -ETH // 10))
    assert size(deployed, ALICE, "vBTC") == -ETH // 10
    deployed.node.send(deployed.close(ALICE, "vBTC"))
    deployed.node.send(deployed.withdraw(ALICE, "USDC"))
    assert 2_900 * USDC < balance(deployed, "USDC", ALICE) < 3_000 * USDC


def test_a_maker_without_margin_loses_his_orders_to_anyone(deployed: DeployedCurie) -> None:
    deployed.node.send(*deployed.fund(BOB, "USDC", 3_700 * USDC))
    ticks = deployed.ticks("vETH", 2_850.0, 3_150.0)
    deployed.node.send(deployed.add_liquidity(BOB, "vETH", 6 * ETH, 18_000 * ETH, ticks))
    assert "CH_NEXO" in reverts_with(deployed, deployed.cancel_orders(CAROL, BOB, "vETH"))
    for dollars in (2_850.0, 2_650.0, 2_500.0, 2_350.0):
        falls(deployed, "ETH", "vETH", dollars)
    assert "CH_CLWTISO" in reverts_with(deployed, deployed.liquidate(CAROL, BOB, "vETH"))
    assert size(deployed, BOB, "vETH") > 6 * ETH  # what he lent out is his debt, and he owns twice that now
    assert reverts_with(deployed, deployed.cancel_orders(CAROL, BOB, "vETH")) == ""
    assert reverts_with(deployed, deployed.liquidate(CAROL, BOB, "vETH")) == ""


def test_collateral_of_eight_decimals_is_bought_below_its_price(deployed: DeployedCurie) -> None:
    deployed.node.send(*deployed.fund(ALICE, "WBTC", 10**8))
    deployed.node.send(deployed.trade(ALICE, "vETH", 120 * ETH))
    for dollars in (2_850.0, 2_700.0):
        falls(deployed, "ETH", "vETH", dollars)
    assert ask(deployed.node, deployed.contracts["Vault"], "isLiquidatable(address)", ALICE, returns=["bool"])
    deployed.node.send(deployed.liquidate_collateral(CAROL, ALICE, "WBTC", 5_000 * USDC))
    discounted = 60_000 * 92 // 100
    assert balance(deployed, "WBTC", CAROL) == 5_000 * 10**8 // discounted


def test_a_bankrupt_account_is_paid_for_by_the_insurance_fund(deployed: DeployedCurie) -> None:
    deployed.node.send(*deployed.fund(ALICE, "USDC", 1_000 * USDC))
    deployed.node.send(deployed.trade(ALICE, "vETH", 3 * ETH))
    for dollars in (2_750.0, 2_520.0):
        falls(deployed, "ETH", "vETH", dollars)
    assert value(deployed, ALICE)[0] < 0
    [receipt] = deployed.node.send(deployed.liquidate(CAROL, ALICE, "vETH"))
    settled = keccak(text="BadDebtSettled(address,uint256)")
    assert [log_of(raw) for raw in receipt["logs"] if log_of(raw).topics[0] == settled]
    assert value(deployed, ALICE) == (0, 0)


def test_who_is_in_a_market_that_closes_is_paid_its_last_price(deployed: DeployedCurie) -> None:
    deployed.node.send(*deployed.fund(ALICE, "USDC", 3_000 * USDC))
    deployed.node.send(deployed.trade(ALICE, "vETH", ETH))
    deployed.node.send(deployed.pause_market("vETH"))
    assert "CH_MNO" in reverts_with(deployed, deployed.trade(ALICE, "vETH", ETH))
    deployed.node.send(deployed.close_market("vETH", 3_500.0))
    deployed.node.send(deployed.quit_market(CAROL, ALICE, "vETH"))
    assert size(deployed, ALICE, "vETH") == 0
    assert 3_490 * ETH < value(deployed, ALICE)[0] < 3_500 * ETH


def test_parameters_are_what_the_listing_says() -> None:
    listing = CurieListing(
        feeds={"SOL": (18, 150)},
        collaterals=(),
        markets=(CurieMarketSpec("vSOL", "SOL", pool_fee=10_000, fee=2_000, cardinality=400),),
        exits=(),
        parameters=OwnerParameters(penalty=50_000, twap_s=600, mark_twap_s=1_200, debt_threshold=7),
    )
    with Anvil(mining=False, gas_limit=GAS_LIMIT) as anvil:
        deployed = deploy(Node.at(anvil.url), listing)
        config, manager = deployed.contracts["ClearingHouseConfig"], deployed.contracts["CollateralManager"]
        assert ask(deployed.node, config, "getLiquidationPenaltyRatio()") == 50_000
        assert ask(deployed.node, config, "getMarkPriceConfig()", returns=["uint32", "uint32"]) == (1_200, 900)
        assert ask(deployed.node, manager, "getDebtThreshold()") == 7 * USDC
        assert value(deployed, MARKET_MAKER)[0] + 10**12 >= 10**30


def test_the_same_seed_makes_the_same_people() -> None:
    assert build_openings(7, 50) == build_openings(7, 50) != build_openings(8, 50)
    people = build_openings(1, 300)
    held = {symbol for one in people for symbol, _ in one.deposits}
    assert held == {"USDC", *(spec.symbol for spec in DEMO.collaterals)}
    assert sum(bool(one.making) for one in people) > 10
    assert {size > 0 for one in people for _, size in one.trades} == {True, False}


def test_a_seeded_market_opens_safe_and_crashes() -> None:
    scenario = MARKET_FACTORY.scenario(3, 40, 40)
    with Anvil(mining=False, gas_limit=GAS_LIMIT) as anvil:
        node = Node.at(anvil.url)
        player = Player(node, MARKET_FACTORY.deploy(node, 1.0), scenario, CAROL)
        player.open(lambda _done, _of: None)
        assert player.now().unsafe == 0
        baseline = player.baseline(lambda _done, _of: None)
        assert baseline.records[-1].unsafe > 5
        assert baseline.bad_debt_usd > 0
        assert player.now().unsafe == 0
