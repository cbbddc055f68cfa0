"""Real Aave v3 on the demo's stage: its people open, its prices move, and what a keeper earns is what it has more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keeper.model.chain import unhexed
from keeper.protocols import executor
from keeper.sim.markets.aave_v3 import V3_6, VERSIONS
from keeper.sim.markets.aave_v3.accounts import Opening
from keeper.sim.markets.aave_v3.market import AaveMarket, scenario, show
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, Tx, impersonate
from keeper.sim.records import State

ALICE, BOB, KEEPER = b"\xa1" * 20, b"\xb0" * 20, b"\xee" * 20
USD, ETHER = 10**6, 10**18


@pytest.fixture(scope="module", params=VERSIONS)
def deployed(request: pytest.FixtureRequest) -> Iterator[tuple[Anvil, AaveMarket]]:
    with Anvil(mining=False, gas_limit=60_000_000) as anvil:
        stage = show(request.param).deploy(Node.at(anvil.url), 1.0)
        assert isinstance(stage, AaveMarket)
        yield anvil, stage


@pytest.fixture
def stage(deployed: tuple[Anvil, AaveMarket], tmp_path: Path) -> Iterator[AaveMarket]:
    """A market with one account and a keeper, the executor among its contracts."""
    anvil, found = deployed
    snapshot = anvil.snapshot()
    found.equip(KEEPER, 1.0, tmp_path / "deployment.json")
    impersonate(found.bed.node, [KEEPER])
    found.open([Opening(who, (("WETH", 2 * ETHER),), (("USDC", 4_700 * USD, 2),)) for who in (ALICE, BOB)])
    yield found
    anvil.revert(snapshot)


def state(stage: AaveMarket, account: bytes) -> State:
    [(to, data)] = stage.views(account)
    request = {"to": "0x" + to.hex(), "data": "0x" + data.hex()}
    return stage.state(account, [unhexed(stage.bed.node.rpc("eth_call", request, "latest"))])


def liquidation(stage: AaveMarket, repay: int, flash_loan: bool) -> Tx:
    return Tx(KEEPER, stage.executor, order(stage, ALICE, repay, flash_loan).data())


def order(stage: AaveMarket, account: bytes, repay: int, flash_loan: bool) -> executor.AaveLiquidation:
    bed = stage.bed
    swap = executor.Swap((bed.exits.pools[("WETH", "USDC", 500)],))
    pair = (bed.reserves["WETH"].token, bed.reserves["USDC"].token)
    return executor.AaveLiquidation(bed.pool, account, *pair, repay, flash_loan, swap, 1)


@pytest.mark.parametrize("flash_loan", [False, True])
def test_an_act_earns_what_the_executor_has_more(stage: AaveMarket, flash_loan: bool) -> None:
    bed, fallen = stage.bed, {**stage.prices, "ETH": 2_800.0}
    bed.node.send(*stage.moves(fallen))
    assert state(stage, ALICE).unsafe
    before = bed.balance(bed.reserves["USDC"].token, stage.executor)
    [receipt] = bed.node.send(liquidation(stage, 1_200 * USD, flash_loan))
    acts, debts = stage.acts(receipt, int(receipt["blockNumber"], 16), fallen, 1.0)
    [act] = acts
    earned = bed.balance(bed.reserves["USDC"].token, stage.executor) - before
    assert earned > 30 * USD
    assert (act.account, act.subject, act.full, act.notional_usd) == (ALICE, "ETH", False, 1_200.0)
    assert act.reward_usd == earned / USD
    assert debts == []
    assert not state(stage, ALICE).unsafe


def test_a_batch_is_as_many_acts_that_share_its_gas(stage: AaveMarket) -> None:
    bed, fallen = stage.bed, {**stage.prices, "ETH": 2_800.0}
    bed.node.send(*stage.moves(fallen))
    before = bed.balance(bed.reserves["USDC"].token, stage.executor)
    steps = tuple((order(stage, who, 1_200 * USD, False).data(), 1_000_000) for who in (ALICE, BOB))
    batch = executor.Batch(steps, bed.reserves["USDC"].token, 1)
    [receipt] = bed.node.send(Tx(KEEPER, stage.executor, batch.data(), 3_000_000))
    acts, _ = stage.acts(receipt, int(receipt["blockNumber"], 16), fallen, 1.0)
    earned = bed.balance(bed.reserves["USDC"].token, stage.executor) - before
    assert [(act.account, act.gas_usd) for act in acts] == [(ALICE, 0.5), (BOB, 0.5)]
    assert sum(round(act.reward_usd * USD) for act in acts) == earned


def test_debt_that_is_left_without_collateral_is_bad_and_not_missed(stage: AaveMarket) -> None:
    bed, fallen = stage.bed, {**stage.prices, "ETH": 1_500.0, "wstETH": 1_800.0}
    bed.node.send(*stage.moves(fallen))
    assert state(stage, ALICE).shortfall_usd == pytest.approx(1_700, abs=1)
    [receipt] = bed.node.send(liquidation(stage, 4_000 * USD, True))
    acts, debts = stage.acts(receipt, int(receipt["blockNumber"], 16), fallen, 1.0)
    assert [act.full for act in acts] == [True]
    after = state(stage, ALICE)
    assert not after.unsafe
    if bed.version == V3_6:
        [(account, dollars)] = debts
        assert (account, after.requirement) == (ALICE, 0)
        assert dollars == pytest.approx(4_700 - acts[0].notional_usd, abs=1)
    else:
        assert debts == []
        assert after.shortfall_usd == pytest.approx(4_700 - acts[0].notional_usd, abs=1)


def test_a_seeded_market_opens_and_falls(deployed: tuple[Anvil, AaveMarket]) -> None:
    anvil, stage = deployed
    snapshot = anvil.snapshot()
    script = scenario(3, 60, 20, stage.bed.version)
    stage.open(script.openings)
    accounts = stage.accounts(script.openings)
    assert not any(state(stage, account).unsafe for account in accounts)
    stage.bed.node.send(*stage.moves(script.steps[-1].prices))
    assert sum(state(stage, account).unsafe for account in accounts) > 5
    anvil.revert(snapshot)
