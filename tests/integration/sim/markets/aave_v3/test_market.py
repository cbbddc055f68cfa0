"""Real Aave v3 as a market of the test bed: accounts open, prices fall, liquidations earn what the executor gains."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keeper.model.chain import unhexed
from keeper.protocols import executor
from keeper.sim.markets.aave_v3 import V3_6, VERSIONS
from keeper.sim.markets.aave_v3.accounts import AaveOpening
from keeper.sim.markets.aave_v3.market import AaveSimMarket, market_factory, scenario
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, Tx, impersonate
from keeper.sim.records import AccountState

ALICE, BOB, KEEPER = b"\xa1" * 20, b"\xb0" * 20, b"\xee" * 20
USD, ETHER = 10**6, 10**18


@pytest.fixture(scope="module", params=VERSIONS)
def shared(request: pytest.FixtureRequest) -> Iterator[tuple[Anvil, AaveSimMarket]]:
    with Anvil(mining=False, gas_limit=60_000_000) as anvil:
        market = market_factory(request.param).deploy(Node.at(anvil.url), 1.0)
        assert isinstance(market, AaveSimMarket)
        yield anvil, market


@pytest.fixture
def market(shared: tuple[Anvil, AaveSimMarket], tmp_path: Path) -> Iterator[AaveSimMarket]:
    """A market with one account and a keeper, the executor among its contracts."""
    anvil, found = shared
    snapshot = anvil.snapshot()
    found.fund_keeper(KEEPER, 1.0, tmp_path / "deployment.json")
    impersonate(found.deployed.node, [KEEPER])
    found.open([AaveOpening(who, (("WETH", 2 * ETHER),), (("USDC", 4_700 * USD, 2),)) for who in (ALICE, BOB)])
    yield found
    anvil.revert(snapshot)


def state(market: AaveSimMarket, account: bytes) -> AccountState:
    [(to, data)] = market.views(account)
    request = {"to": "0x" + to.hex(), "data": "0x" + data.hex()}
    return market.state(account, [unhexed(market.deployed.node.rpc("eth_call", request, "latest"))])


def liquidation_tx(market: AaveSimMarket, repay: int, flash_loan: bool) -> Tx:
    return Tx(KEEPER, market.executor, order(market, ALICE, repay, flash_loan).data())


def order(market: AaveSimMarket, account: bytes, repay: int, flash_loan: bool) -> executor.AaveLiquidation:
    deployed = market.deployed
    swap = executor.Swap((deployed.exits.pools[("WETH", "USDC", 500)],))
    pair = (deployed.reserves["WETH"].token, deployed.reserves["USDC"].token)
    return executor.AaveLiquidation(deployed.pool, account, *pair, repay, flash_loan, swap, 1)


@pytest.mark.parametrize("flash_loan", [False, True])
def test_an_act_earns_what_the_executor_has_more(market: AaveSimMarket, flash_loan: bool) -> None:
    deployed, fallen = market.deployed, {**market.prices, "ETH": 2_800.0}
    deployed.node.send(*market.price_transactions(fallen))
    assert state(market, ALICE).unsafe
    before = deployed.balance(deployed.reserves["USDC"].token, market.executor)
    [receipt] = deployed.node.send(liquidation_tx(market, 1_200 * USD, flash_loan))
    liquidations, debts = market.liquidations(receipt, fallen, 1.0)
    [liquidation] = liquidations
    earned = deployed.balance(deployed.reserves["USDC"].token, market.executor) - before
    assert earned > 30 * USD
    assert (liquidation.account, liquidation.subject, liquidation.full, liquidation.notional_usd) == (
        ALICE,
        "ETH",
        False,
        1_200.0,
    )
    assert liquidation.reward_usd == earned / USD
    assert debts == []
    assert not state(market, ALICE).unsafe


def test_a_batch_is_as_many_acts_that_share_its_gas(market: AaveSimMarket) -> None:
    deployed, fallen = market.deployed, {**market.prices, "ETH": 2_800.0}
    deployed.node.send(*market.price_transactions(fallen))
    before = deployed.balance(deployed.reserves["USDC"].token, market.executor)
    steps = tuple((order(market, who, 1_200 * USD, False).data(), 1_000_000) for who in (ALICE, BOB))
    batch = executor.Batch(steps, deployed.reserves["USDC"].token, 1)
    [receipt] = deployed.node.send(Tx(KEEPER, market.executor, batch.data(), 3_000_000))
    liquidations, _ = market.liquidations(receipt, fallen, 1.0)
    earned = deployed.balance(deployed.reserves["USDC"].token, market.executor) - before
    assert [(liquidation.account, liquidation.gas_usd) for liquidation in liquidations] == [(ALICE, 0.5), (BOB, 0.5)]
    assert sum(round(liquidation.reward_usd * USD) for liquidation in liquidations) == earned


def test_debt_that_is_left_without_collateral_is_bad_and_not_missed(market: AaveSimMarket) -> None:
    deployed, fallen = market.deployed, {**market.prices, "ETH": 1_500.0, "wstETH": 1_800.0}
    deployed.node.send(*market.price_transactions(fallen))
    assert state(market, ALICE).shortfall_usd == pytest.approx(1_700, abs=1)
    [receipt] = deployed.node.send(liquidation_tx(market, 4_000 * USD, True))
    liquidations, debts = market.liquidations(receipt, fallen, 1.0)
    assert [liquidation.full for liquidation in liquidations] == [True]
    after = state(market, ALICE)
    assert not after.unsafe
    if deployed.version == V3_6:
        [(account, dollars)] = debts
        assert (account, after.requirement) == (ALICE, 0)
        assert dollars == pytest.approx(4_700 - liquidations[0].notional_usd, abs=1)
    else:
        assert debts == []
        assert after.shortfall_usd == pytest.approx(4_700 - liquidations[0].notional_usd, abs=1)


def test_a_seeded_market_opens_and_falls(shared: tuple[Anvil, AaveSimMarket]) -> None:
    anvil, market = shared
    snapshot = anvil.snapshot()
    script = scenario(3, 60, 20, market.deployed.version)
    market.open(script.openings)
    accounts = market.accounts(script.openings)
    assert not any(state(market, account).unsafe for account in accounts)
    market.deployed.node.send(*market.price_transactions(script.steps[-1].prices))
    assert sum(state(market, account).unsafe for account in accounts) > 5
    anvil.revert(snapshot)
