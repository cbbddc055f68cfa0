"""The executor on real Aave v3, 3.0.2 and 3.6: from own funds and from flash loans, to the unit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, strategies as st

from keeper.protocols import executor as calls
from keeper.protocols.executor import AaveLiquidation, Batch, Swap
from keeper.sim.markets.aave_v3 import V3_0_2, VERSIONS, DeployedAave, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, impersonate
from tests.integration.protocols.executor.conftest import EXAMPLES
from tests.support.engine import account
from tests.support.executor_v1 import deploy_v1, growth
from tests.support.executors import OPERATOR, Hand, Reverted, checked, undone

ALICE, BOB = (account(index) for index in range(2))
PRICES = {"WETH": 3_000.0, "USDC": 1.0, "WBTC": 60_000.0, "wstETH": 3_600.0, "DAI": 1.0}
ROUTES = {
    ("WETH", "USDC"): (("WETH", "USDC", 500),),
    ("WETH", "DAI"): (("WETH", "USDC", 500), ("DAI", "USDC", 100)),
    ("WBTC", "USDC"): (("WBTC", "USDC", 3_000),),
    ("WBTC", "DAI"): (("WBTC", "WETH", 3_000), ("WETH", "USDC", 500), ("DAI", "USDC", 100)),
    ("wstETH", "USDC"): (("wstETH", "WETH", 100), ("WETH", "USDC", 3_000)),
    ("wstETH", "WETH"): (("wstETH", "WETH", 100),),
    ("WETH", "WETH"): (),
}


@dataclass(frozen=True)
class Scene:
    """A market, and an executor with a balance of every token."""

    anvil: Anvil
    deployed: DeployedAave
    hand: Hand

    def units(self, symbol: str, dollars: float) -> int:
        return int(dollars / PRICES[symbol] * 10 ** self.deployed.listing.reserve(symbol).decimals)

    def indebted(self, collateral: str, debt: str, dollars: float, fall: float, who: bytes = ALICE) -> None:
        """`who` borrows nearly all he can, and his collateral falls, in the pools as well."""
        deployed = self.deployed
        share = deployed.listing.reserve(collateral).ltv / 10_000 * 0.995
        deployed.node.send(deployed.supply(who, collateral, self.units(collateral, dollars)))
        deployed.node.send(deployed.borrow(who, debt, self.units(debt, dollars * share)))
        prices = {**dict.fromkeys(deployed.reserves, 1.0), **PRICES, collateral: PRICES[collateral] * (1 - fall)}
        pools = [pool for pool in ROUTES[collateral, debt] if collateral in pool]
        deployed.node.send(deployed.set_price(collateral, prices[collateral]), *deployed.move_pools(prices, pools))

    def order(self, collateral: str, debt: str, repay: int, flash: bool, who: bytes = ALICE) -> AaveLiquidation:
        tokens = self.deployed.reserves
        swap = Swap(tuple(self.deployed.exits.pools[pool] for pool in ROUTES[collateral, debt]))
        return AaveLiquidation(
            self.deployed.pool, who, tokens[collateral].token, tokens[debt].token, repay, flash, swap, 0
        )

    def assert_nothing_left(self, order: AaveLiquidation, held: int) -> None:
        assert self.hand.allowance(order.debt, self.deployed.pool) == 0
        assert order.collateral == order.debt or self.hand.balance(order.collateral) == held


@pytest.fixture(scope="module", params=VERSIONS)
def market(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with Anvil(mining=False, gas_limit=60_000_000) as anvil:
        node = Node.at(anvil.url)
        deployed = deploy(node, request.param)
        hand = Hand.on(anvil, node, deployed.exits.uniswap.factory)
        impersonate(node, [ALICE, BOB])
        scene = Scene(anvil, deployed, hand)
        for symbol in PRICES:
            node.send(*deployed.fund(symbol, [ALICE, BOB], scene.units(symbol, 10**8)))
            node.send(deployed.mint(symbol, hand.executor, scene.units(symbol, 10**7)))
        yield scene


@pytest.fixture
def scene(market: Scene) -> Iterator[Scene]:
    """The market as it was deployed."""
    with undone(market.anvil):
        yield market


@EXAMPLES
@given(
    pair=st.sampled_from([pair for pair in ROUTES if pair[0] != pair[1]]),
    dollars=st.floats(10_000, 2_000_000),
    fall=st.floats(0.08, 0.2),
    part=st.sampled_from([1, 20, 50, 100]),
    flash=st.booleans(),
)
def test_debt_is_repaid_and_collateral_sold(
    market: Scene, pair: tuple[str, str], dollars: float, fall: float, part: int, flash: bool
) -> None:
    with undone(market.anvil):
        market.indebted(*pair, dollars, fall)
        repay = market.units(pair[1], dollars * part / 100)
        order = market.order(*pair, repay, flash)
        if not flash:
            repay_and_sell(market, order)
            return
        take = market.units(pair[1], 10**7)
        market.hand.sweep(order.debt, take)
        repay_and_sell(market, order)


def repay_and_sell(market: Scene, order: AaveLiquidation) -> None:
    owed, held = market.deployed.user_data(ALICE)[1], market.hand.balance(order.collateral)
    profit, _ = checked(market.hand, order, order.debt)
    assert (market.deployed.user_data(ALICE)[1] < owed) == (profit >= 0)
    market.assert_nothing_left(order, held)


@pytest.mark.parametrize("flash", [False, True])
def test_own_funds_and_flash_loans_differ_by_the_premium(scene: Scene, flash: bool) -> None:
    scene.indebted("WETH", "USDC", 100_000, 0.1)
    repay = 20_000 * 10**6
    later = scene.anvil.timestamp() + 2
    own = scene.hand.profit(scene.order("WETH", "USDC", repay, False), later)
    borrowed = scene.hand.profit(scene.order("WETH", "USDC", repay, True), later)
    assert own - borrowed == repay * 5 // 10_000
    assert own > repay * 0.03
    checked(scene.hand, scene.order("WETH", "USDC", repay, flash), scene.deployed.reserves["USDC"].token)


@pytest.mark.parametrize(
    ("pair", "flash"), [(("WETH", "USDC"), False), (("WETH", "USDC"), True), (("WBTC", "DAI"), False)]
)
def test_roles_floor_and_deadline_cost_less_than_three_percent_of_gas(
    scene: Scene, pair: tuple[str, str], flash: bool
) -> None:
    collateral, debt = pair
    first = deploy_v1(scene.deployed.node, OPERATOR, scene.deployed.exits.uniswap.factory)
    for symbol in pair:
        scene.deployed.node.send(scene.deployed.mint(symbol, first, scene.units(symbol, 10**7)))
    scene.indebted(collateral, debt, 100_000, 0.12)
    order = replace(scene.order(collateral, debt, scene.units(debt, 20_000), flash), deadline=2_000_000_000)
    grown = growth(scene.hand, first, order)
    assert 0 < grown.percent < 3, grown
    print(f"GAS aave {scene.deployed.version} {pair} flash={flash} {grown} {grown.percent:.2f} %")


def test_an_asset_on_both_sides_is_not_sold(scene: Scene) -> None:
    deployed = scene.deployed
    deployed.node.send(deployed.supply(ALICE, "WETH", scene.units("WETH", 30_000)))
    deployed.node.send(deployed.borrow(ALICE, "WETH", scene.units("WETH", 6_000)))
    deployed.node.send(deployed.borrow(ALICE, "USDC", scene.units("USDC", 17_500)))
    deployed.node.send(deployed.set_price("WETH", 2_600))
    order = scene.order("WETH", "WETH", scene.units("WETH", 1_000), True)
    profit, _ = checked(scene.hand, order, order.debt)
    assert profit > 0
    scene.assert_nothing_left(order, 0)


def test_what_the_pool_does_not_take_stays_in_the_purse(scene: Scene) -> None:
    scene.indebted("WETH", "USDC", 100_000, 0.1)
    order = scene.order("WETH", "USDC", scene.units("USDC", 5 * 10**6), False)
    profit, _ = checked(scene.hand, order, order.debt)
    assert profit > 0
    scene.assert_nothing_left(order, scene.units("WETH", 10**7))


def test_a_healthy_account_is_refused_in_the_protocols_own_words(scene: Scene) -> None:
    scene.indebted("WETH", "USDC", 100_000, 0.001)
    later = scene.anvil.timestamp() + 2
    for flash in (False, True):
        with pytest.raises(Reverted) as caught:
            scene.hand.profit(scene.order("WETH", "USDC", 10**9, flash), later)
        if scene.deployed.version == V3_0_2:
            assert str(caught.value) == "Error(45)"  # HEALTH_FACTOR_NOT_BELOW_THRESHOLD
        else:
            assert caught.value.reason.name == "0x930bb771"  # HealthFactorNotBelowThreshold()


def test_the_swaps_floor_is_met_exactly_or_refused_with_numbers(scene: Scene) -> None:
    scene.indebted("WETH", "USDC", 100_000, 0.1)
    repay = 20_000 * 10**6
    order = scene.order("WETH", "USDC", repay, False)
    later = scene.anvil.timestamp() + 2
    out = scene.hand.profit(order, later) + repay
    scene.hand.profit(replace(order, swap=replace(order.swap, min_out=out)), later)
    with pytest.raises(Reverted) as caught:
        scene.hand.profit(replace(order, swap=replace(order.swap, min_out=out + 1)), later)
    assert (caught.value.reason.name, *caught.value.reason.args[1:]) == ("Shortfall", out, out + 1)


def test_a_batch_takes_several_accounts_and_tells_who_was_safe(scene: Scene) -> None:
    scene.indebted("WBTC", "USDC", 50_000, 0.001, BOB)
    scene.indebted("WETH", "USDC", 100_000, 0.1)
    unsafe = replace(scene.order("WETH", "USDC", 5_000 * 10**6, False), min_profit=1)
    flash = replace(scene.order("WETH", "USDC", 5_000 * 10**6, True), min_profit=1)
    safe = scene.order("WBTC", "USDC", 5_000 * 10**6, False, BOB)
    steps = tuple((order.data(), 1_500_000) for order in (unsafe, safe, flash))
    batch = Batch(steps, unsafe.debt, 1)
    later = scene.anvil.timestamp() + 2
    found = calls.outcomes(scene.hand.would(batch, later))
    assert [outcome.success for outcome in found] == [True, False, True]
    before = scene.hand.balance(unsafe.debt)
    receipt = scene.hand.carry_out(replace(batch, min_profit=found[0].profit + found[2].profit), later)
    assert int(receipt["status"], 16) == 1
    assert scene.hand.balance(unsafe.debt) - before == found[0].profit + found[2].profit
    assert scene.hand.allowance(unsafe.debt, scene.deployed.pool) == 0
