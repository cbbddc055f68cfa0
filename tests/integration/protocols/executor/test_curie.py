"""The executor on real Perpetual Protocol v2: what it earns is its balance's growth, to the unit, and nothing stays."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, strategies as st

from keeper.model.chain import hexed
from keeper.protocols import executor as calls
from keeper.protocols.executor import Batch, CurieCollateral, CurieLiquidation, Swap
from keeper.sim.markets.curie import DeployedCurie, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask, calldata
from keeper.sim.node.client import Node, Tx
from tests.integration.protocols.executor.conftest import EXAMPLES
from tests.support.engine import account
from tests.support.executor_v1 import deploy_v1, growth
from tests.support.executors import GAS, OPERATOR, Hand, Reverted, checked, undone

TRADER, MAKER, OTHER = (account(index) for index in range(3))
USD, ETHER = 10**6, 10**18
WALLET = 2_000_000 * USD


@dataclass(frozen=True)
class Scene:
    """A market, and an executor with funds."""

    anvil: Anvil
    deployed: DeployedCurie
    hand: Hand

    def order(self, size: int = 0, market: str = "vETH", who: bytes = TRADER) -> CurieLiquidation:
        house, base = self.deployed.contracts["ClearingHouse"], self.deployed.markets[market].base
        return CurieLiquidation(house, who, base, size, WALLET // 2, False, 0, 0, 0)

    def crash(self, factor: float, label: str = "ETH", market: str = "vETH") -> None:
        """Feed and pool move together, in steps that the protocol allows, and stay until every average has followed."""
        first = float(self.deployed.listing.feeds[label][1])
        steps = 1 + int(abs(1 - factor) / 0.04)
        for step in range(1, steps + 1):
            dollars = first * factor ** (step / steps)
            self.deployed.warp(20)
            self.deployed.node.send(self.deployed.set_oracle(label, dollars))
            self.deployed.node.send(*self.deployed.move_pool(market, dollars))
        self.deployed.warp(1_800)

    def trader(self, size: int, margin: int = 10_000 * USD, who: bytes = TRADER, market: str = "vETH") -> None:
        self.deployed.node.send(*self.deployed.fund(who, "USDC", margin))
        self.deployed.node.send(self.deployed.trade(who, market, size))

    def size(self, who: bytes, market: str = "vETH") -> int:
        base = self.deployed.markets[market].base
        accounts = self.deployed.contracts["AccountBalance"]
        return int(
            ask(self.deployed.node, accounts, "getTakerPositionSize(address,address)", who, base, returns=["int256"])
        )

    def assert_nothing_left(self) -> None:
        node, at, executor = self.deployed.node, self.deployed.contracts, self.hand.executor
        assert ask(node, at["AccountBalance"], "getBaseTokens(address)", executor, returns=["address[]"]) == ()
        assert ask(node, at["Vault"], "getBalance(address)", executor, returns=["int256"]) == 0
        pnl = ask(node, at["AccountBalance"], "getPnlAndPendingFee(address)", executor, returns=["int256"] * 3)
        assert pnl == (0, 0, 0)
        assert self.hand.allowance(self.deployed.tokens["USDC"], at["Vault"]) == 0


@pytest.fixture(scope="module")
def market() -> Iterator[Scene]:
    with Anvil(mining=False, gas_limit=60_000_000) as anvil:
        node = Node.at(anvil.url)
        deployed = deploy(node)
        hand = Hand.on(anvil, node, deployed.exits.uniswap.factory)
        deployed.admit(TRADER, MAKER, OTHER)
        node.send(deployed.mint("USDC", hand.executor, WALLET))
        yield Scene(anvil, deployed, hand)


@pytest.fixture
def scene(market: Scene) -> Iterator[Scene]:
    """The market as it was deployed."""
    with undone(market.anvil):
        yield market


@EXAMPLES
@given(
    long=st.booleans(),
    tenths=st.integers(150, 300),
    move=st.floats(0.08, 0.16),
    part=st.sampled_from([0, 1, 3, 10]),
)
def test_a_position_is_taken_over_closed_and_paid_out(
    market: Scene, long: bool, tenths: int, move: float, part: int
) -> None:
    with undone(market.anvil):
        take_over(market, (tenths if long else -tenths) * ETHER // 10, 1 - move if long else 1 + move, part)


def take_over(market: Scene, size: int, factor: float, part: int) -> None:
    market.trader(size)
    market.crash(factor)
    order = market.order(0 if part == 0 else size // (2 * part))
    try:
        profit, _ = checked(market.hand, order, market.deployed.tokens["USDC"])
    except Reverted as refusal:
        if str(refusal) != "Error(CH_EAV)":  # still healthy
            raise
    else:
        assert (abs(market.size(TRADER)) < abs(size)) == (profit >= 0)
        market.assert_nothing_left()


def test_a_bankrupt_account_pays_the_whole_penalty(scene: Scene) -> None:
    scene.trader(25 * ETHER)
    scene.crash(0.84)
    profit, _ = checked(scene.hand, scene.order(), scene.deployed.tokens["USDC"])
    assert scene.size(TRADER) == 0
    assert profit > 25 * 3_000 * 0.84 * 0.02 * USD
    scene.assert_nothing_left()


def test_a_healthy_account_and_too_little_margin_are_refused_in_the_protocols_own_words(scene: Scene) -> None:
    scene.trader(25 * ETHER)
    later = scene.anvil.timestamp() + 2
    with pytest.raises(Reverted, match="CH_EAV"):
        scene.hand.profit(scene.order(), later)
    scene.crash(0.9)
    later = scene.anvil.timestamp() + 2
    with pytest.raises(Reverted, match="CH_NEFCI"):
        scene.hand.profit(replace(scene.order(), margin=100 * USD), later)
    with pytest.raises(Reverted, match="CH_WLD"):
        scene.hand.profit(scene.order(-ETHER), later)


def test_a_makers_orders_are_cancelled_first(scene: Scene) -> None:
    deployed = scene.deployed
    deployed.node.send(*deployed.fund(MAKER, "USDC", 10_000 * USD))
    wide, narrow = deployed.ticks("vETH", 2_600, 2_990), deployed.ticks("vBTC", 50_000, 59_000)
    deployed.node.send(
        deployed.add_liquidity(MAKER, "vETH", 0, 60_000 * ETHER, wide),
        deployed.add_liquidity(MAKER, "vBTC", 0, 30_000 * ETHER, narrow),
    )
    scene.crash(0.86)
    scene.crash(0.86, "BTC", "vBTC")
    order = scene.order(who=MAKER)
    with pytest.raises(Reverted, match="CH_CLWTISO"):
        scene.hand.profit(order, scene.anvil.timestamp() + 2)
    before = ask(deployed.node, deployed.contracts["AccountBalance"], "hasOrder(address)", MAKER, returns=["bool"])
    _, gas = checked(scene.hand, replace(order, cancel_orders=True), deployed.tokens["USDC"])
    assert before
    assert gas < GAS
    assert not ask(deployed.node, deployed.contracts["AccountBalance"], "hasOrder(address)", MAKER, returns=["bool"])
    scene.assert_nothing_left()


def test_a_closing_trade_that_stops_at_its_price_is_undone_with_what_would_be_left(scene: Scene) -> None:
    scene.trader(25 * ETHER)
    scene.crash(0.9)
    later = scene.anvil.timestamp() + 2
    here = scene.deployed.pool_sqrt_price("vETH")
    with pytest.raises(Reverted) as caught:
        scene.hand.profit(replace(scene.order(), sqrt_price_limit_x96=here - here // 10**7), later)
    assert caught.value.reason.name == "PositionLeft"
    base, left = caught.value.reason.args
    assert base == hexed(scene.deployed.markets["vETH"].base)
    assert 0 < left < 12.5 * ETHER
    with pytest.raises(Reverted, match="CH_TLRS"):
        scene.hand.profit(replace(scene.order(), opposite_amount_bound=10**30), later)


def test_the_markets_own_limit_leaves_a_position_too(scene: Scene) -> None:
    deployed = scene.deployed
    scene.trader(25 * ETHER)
    scene.crash(0.9)
    base = deployed.markets["vETH"].base
    signature = "setMaxTickCrossedWithinBlock(address,uint24)"
    deployed.node.send(Tx(deployed.owner, deployed.contracts["Exchange"], calldata(signature, base, 1)))
    deployed.node.send(*deployed.fund(OTHER, "USDC", 10_000 * USD))
    deployed.node.send(deployed.trade(OTHER, "vETH", ETHER // 100))
    with pytest.raises(Reverted, match="PositionLeft"):
        scene.hand.profit(scene.order(), scene.anvil.timestamp() + 2)


def test_gifts_to_the_executors_account_do_not_stop_it(scene: Scene) -> None:
    scene.trader(25 * ETHER)
    scene.crash(0.9)
    later = scene.anvil.timestamp() + 4
    plain = scene.hand.profit(scene.order(), later)
    scene.deployed.node.send(
        *scene.deployed.fund(scene.hand.executor, "WETH", 1), *scene.deployed.fund(scene.hand.executor, "USDC", 7)
    )
    assert scene.hand.profit(scene.order(), later) == plain + 7


def collateral_order(scene: Scene, amount: int) -> CurieCollateral:
    pool = scene.deployed.exits.pools["WETH", "USDC", 500]
    swap = Swap((pool,))
    return CurieCollateral(scene.deployed.contracts["Vault"], TRADER, scene.deployed.tokens["WETH"], amount, swap, 0)


def most_repaid(scene: Scene) -> int:
    signature = "getMaxRepaidSettlementAndLiquidatableCollateral(address,address)"
    vault, weth = scene.deployed.contracts["Vault"], scene.deployed.tokens["WETH"]
    return int(ask(scene.deployed.node, vault, signature, TRADER, weth, returns=["uint256"] * 2)[0])


@EXAMPLES
@given(weth=st.integers(8, 12), move=st.floats(0.12, 0.16), part=st.integers(1, 98))
def test_collateral_is_bought_and_sold(market: Scene, weth: int, move: float, part: int) -> None:
    with undone(market.anvil):
        buy_and_sell(market, weth, move, part)


def buy_and_sell(market: Scene, weth: int, move: float, part: int) -> None:
    deployed = market.deployed
    deployed.node.send(*deployed.fund(TRADER, "WETH", weth * ETHER))
    deployed.node.send(deployed.trade(TRADER, "vETH", weth * 4 * ETHER))
    market.crash(1 - move)
    deployed.node.send(deployed.exits.move(("WETH", "USDC", 500), {"WETH": 3_000 * (1 - move), "USDC": 1.0}))
    amount = most_repaid(market) * part // 100
    if ask(deployed.node, deployed.contracts["Vault"], "isLiquidatable(address)", TRADER, returns=["bool"]) and amount:
        profit, _ = checked(market.hand, collateral_order(market, amount), deployed.tokens["USDC"])
        assert profit > amount * 0.08
        assert market.hand.balance(deployed.tokens["WETH"]) == 0
        assert market.hand.allowance(deployed.tokens["USDC"], deployed.contracts["Vault"]) == 0
    else:
        with pytest.raises(Reverted, match=r"V_NL|Shortfall"):
            market.hand.profit(collateral_order(market, amount), market.anvil.timestamp() + 2)


def test_roles_floor_and_deadline_cost_less_than_three_percent_of_gas(scene: Scene) -> None:
    deployed = scene.deployed
    first = deploy_v1(deployed.node, OPERATOR, deployed.exits.uniswap.factory)
    deployed.node.send(deployed.mint("USDC", first, WALLET))
    scene.trader(25 * ETHER)
    scene.crash(0.9)
    grown = growth(scene.hand, first, replace(scene.order(), deadline=2_000_000_000))
    print(f"GAS curie position {grown} {grown.percent:.2f} %")
    assert 0 < grown.percent < 3, grown


def test_a_batch_tells_its_steps_apart(scene: Scene) -> None:
    scene.trader(25 * ETHER)
    scene.trader(ETHER, who=OTHER)
    scene.crash(0.9)
    steps = tuple((scene.order(who=who).data(), 3_500_000) for who in (TRADER, OTHER, TRADER))
    batch = Batch(steps, scene.deployed.tokens["USDC"], 1)
    later = scene.anvil.timestamp() + 2
    first, healthy, second = calls.outcomes(scene.hand.would(batch, later))
    assert [first.success, healthy.success, second.success] == [True, False, True]
    assert calls.explain(healthy.reason).args == ("CH_EAV",)
    together = first.profit + second.profit
    with pytest.raises(Reverted, match=rf"Unprofitable\(.*, {together}, {together + 1}\)"):
        scene.hand.would(replace(batch, min_profit=together + 1), later)
    before = scene.hand.balance(scene.deployed.tokens["USDC"])
    receipt = scene.hand.carry_out(replace(batch, min_profit=together), later)
    assert scene.hand.balance(scene.deployed.tokens["USDC"]) - before == together
    assert int(receipt["status"], 16) == 1
    scene.assert_nothing_left()
