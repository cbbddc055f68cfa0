"""The development market of real Aave v3: what tests and demo do with it does what it says, in both releases."""

from collections.abc import Iterator

import pytest

from keeper.sim.markets.aave_v3 import ETH_MODE, STABLE, USD_MODE, V3_0_2, V3_6, VERSIONS, DeployedAave, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask
from keeper.sim.node.client import Node, Tx, impersonate

ALICE, BOB, CAROL = (bytes([part]) * 20 for part in (0xA1, 0xB0, 0xCA))
USD, ETHER = 10**6, 10**18
PRICES = {"WETH": 3_000.0, "USDC": 1.0, "WBTC": 60_000.0, "wstETH": 3_600.0, "DAI": 1.0, "LINK": 15.0, "sUSD": 1.0}


@pytest.fixture(scope="module", params=VERSIONS)
def shared(request: pytest.FixtureRequest) -> Iterator[tuple[Anvil, DeployedAave]]:
    with Anvil(mining=False, gas_limit=60_000_000) as anvil:
        deployed = deploy(Node.at(anvil.url), request.param)
        impersonate(deployed.node, [ALICE, BOB, CAROL])
        for symbol in PRICES:
            units = 10**6 * 10 ** deployed.listing.reserve(symbol).decimals
            deployed.node.send(*deployed.fund(symbol, [ALICE, BOB, CAROL], units))
        yield anvil, deployed


@pytest.fixture
def deployed(shared: tuple[Anvil, DeployedAave]) -> Iterator[DeployedAave]:
    """The market as it was shared, whatever the tests before did to it."""
    anvil, found = shared
    snapshot = anvil.snapshot()
    yield found
    anvil.revert(snapshot)


def accepted(deployed: DeployedAave, tx: Tx) -> bool:
    [receipt] = deployed.node.try_send([tx])
    return int(receipt["status"], 16) == 1


def health(deployed: DeployedAave, account: bytes) -> float:
    return deployed.user_data(account)[5] / 10**18


def test_people_supply_borrow_repay_and_withdraw(deployed: DeployedAave) -> None:
    deployed.node.send(deployed.supply(ALICE, "WETH", 2 * ETHER), deployed.borrow(ALICE, "USDC", 3_000 * USD))
    assert deployed.user_data(ALICE)[0] == 6_000 * 10**8
    assert health(deployed, ALICE) == pytest.approx(6_000 * 0.825 / 3_000, rel=1e-6)
    deployed.node.send(deployed.repay(ALICE, "USDC"), deployed.withdraw(ALICE, "WETH"))
    assert deployed.user_data(ALICE)[:2] == (0, 0)


def test_an_emode_lends_more(deployed: DeployedAave) -> None:
    deployed.node.send(deployed.supply(ALICE, "wstETH", 10 * ETHER))
    assert not accepted(deployed, deployed.borrow(ALICE, "WETH", 11 * ETHER))
    deployed.node.send(deployed.set_emode(ALICE, ETH_MODE), deployed.borrow(ALICE, "WETH", 11 * ETHER))
    assert deployed.user_data(ALICE)[3] == 9_500


def test_an_isolated_asset_is_collateral_for_stablecoins_alone(deployed: DeployedAave) -> None:
    deployed.node.send(deployed.supply(ALICE, "LINK", 1_000 * ETHER))
    assert deployed.user_data(ALICE)[0] == 0
    deployed.node.send(deployed.use_as_collateral(ALICE, "LINK"))
    assert not accepted(deployed, deployed.borrow(ALICE, "WETH", ETHER))
    assert accepted(deployed, deployed.borrow(ALICE, "DAI", 5_000 * ETHER))


def test_a_siloed_asset_is_borrowed_alone(deployed: DeployedAave) -> None:
    deployed.node.send(deployed.supply(ALICE, "WBTC", 10**8), deployed.borrow(ALICE, "sUSD", 1_000 * ETHER))
    assert not accepted(deployed, deployed.borrow(ALICE, "USDC", USD))


def test_a_tokens_are_given_away_and_taken_off_as_collateral(deployed: DeployedAave) -> None:
    deployed.node.send(deployed.supply(ALICE, "WETH", 2 * ETHER), deployed.transfer(ALICE, "WETH", BOB, ETHER))
    if deployed.version == V3_6:  # in 3.0.2 what is given is collateral at once
        assert deployed.user_data(BOB)[0] == 0
        deployed.node.send(deployed.use_as_collateral(BOB, "WETH"))
    assert deployed.user_data(BOB)[0] == 3_000 * 10**8
    deployed.node.send(deployed.use_as_collateral(BOB, "WETH", False))
    assert deployed.user_data(BOB)[0] == 0


def test_a_fall_of_the_price_is_liquidated_by_others(deployed: DeployedAave) -> None:
    deployed.node.send(deployed.supply(ALICE, "WETH", 2 * ETHER), deployed.borrow(ALICE, "USDC", 4_000 * USD))
    deployed.node.send(deployed.set_price("WETH", 2_400.0), *deployed.move_pools(PRICES | {"WETH": 2_400.0}))
    assert health(deployed, ALICE) < 1
    before = deployed.balance(deployed.reserves["WETH"].token, BOB)
    deployed.node.send(deployed.liquidate(BOB, ALICE, "WETH", "USDC"))
    assert deployed.balance(deployed.reserves["WETH"].token, BOB) > before
    assert health(deployed, ALICE) > 1


def test_pools_follow_the_prices_that_they_are_moved_to(deployed: DeployedAave) -> None:
    dollars = PRICES | {"WETH": 2_100.0, "WBTC": 45_000.0}
    deployed.node.send(*deployed.move_pools(dollars))
    for pool, address in deployed.exits.pools.items():
        low, high = deployed.exits.ordered(pool)
        root = ask(
            deployed.node, address, "slot0()", returns=["uint160", *["int24", *["uint16"] * 3, "uint8", "bool"]]
        )[0]
        decimals = deployed.listing.reserve(low).decimals - deployed.listing.reserve(high).decimals
        assert (root / 2**96) ** 2 * 10.0**decimals == pytest.approx(dollars[low] / dollars[high], rel=1e-9)


def test_guardians_pause_freeze_and_unpause(deployed: DeployedAave) -> None:
    deployed.node.send(deployed.supply(ALICE, "WETH", ETHER), deployed.pause("USDC"), deployed.freeze("DAI"))
    assert not accepted(deployed, deployed.borrow(ALICE, "USDC", USD))
    assert not accepted(deployed, deployed.borrow(ALICE, "DAI", ETHER))
    deployed.node.send(deployed.pause("USDC", False))
    assert accepted(deployed, deployed.borrow(ALICE, "USDC", USD))
    deployed.node.send(deployed.pause_all())
    assert not accepted(deployed, deployed.repay(ALICE, "USDC"))


def test_a_sentinel_forbids_liquidations_while_the_sequencer_is_down(deployed: DeployedAave) -> None:
    deployed.node.send(deployed.supply(ALICE, "WETH", 2 * ETHER), deployed.borrow(ALICE, "USDC", 4_000 * USD))
    _, sequencer = deployed.install_sentinel(grace=3_600)
    # At health above 0.95 the sentinel decides; below, nobody may be protected.
    deployed.node.send(deployed.set_price("WETH", 2_400.0), deployed.set_sequencer(sequencer, True))
    assert not accepted(deployed, deployed.liquidate(BOB, ALICE, "WETH", "USDC"))
    deployed.node.send(deployed.set_sequencer(sequencer, False))
    assert accepted(deployed, deployed.liquidate(BOB, ALICE, "WETH", "USDC"))


def test_a_grace_period_protects_after_a_pause(shared: tuple[Anvil, DeployedAave], deployed: DeployedAave) -> None:
    if deployed.version == V3_0_2:
        pytest.skip("3.0.2 knows no grace period")
    anvil = shared[0]
    deployed.node.send(deployed.supply(ALICE, "WETH", 2 * ETHER), deployed.borrow(ALICE, "USDC", 4_000 * USD))
    deployed.node.send(
        deployed.set_price("WETH", 2_400.0), deployed.pause("WETH"), deployed.pause("WETH", False, grace=3_600)
    )
    assert not accepted(deployed, deployed.liquidate(BOB, ALICE, "WETH", "USDC"))
    anvil.set_next_timestamp(anvil.timestamp() + 3_700)
    assert accepted(deployed, deployed.liquidate(BOB, ALICE, "WETH", "USDC"))


def test_bad_debt_is_a_deficit_in_3_6_and_stays_with_the_account_in_3_0_2(deployed: DeployedAave) -> None:
    deployed.make_deficit(CAROL, BOB, "WETH", "USDC", 10_000.0)
    collateral, debt, *_ = deployed.user_data(CAROL)
    assert collateral == 0
    if deployed.version == V3_6:
        assert debt == 0
        left = deployed.deficit("USDC")
        assert left > 2_000 * USD
        deployed.node.send(*deployed.cover_deficit("USDC", left - USD))
        assert deployed.deficit("USDC") == USD
    else:
        assert debt > 2_000 * 10**8


def test_only_3_0_2_lends_at_stable_rates_and_prices_an_emode_as_one(deployed: DeployedAave) -> None:
    deployed.node.send(deployed.supply(ALICE, "WETH", 2 * ETHER))
    old = deployed.version == V3_0_2
    assert accepted(deployed, deployed.borrow(ALICE, "USDC", 1_000 * USD, STABLE)) == old
    assert set(deployed.emode_feeds) == ({USD_MODE} if old else set())
    if old:
        assert accepted(deployed, deployed.swap_rate_mode(ALICE, "USDC", STABLE))
        deployed.node.send(deployed.set_emode_price(USD_MODE, 0.98))


def test_the_treasury_is_paid_in_a_tokens(shared: tuple[Anvil, DeployedAave], deployed: DeployedAave) -> None:
    anvil = shared[0]
    deployed.node.send(deployed.supply(ALICE, "WBTC", 10 * 10**8), deployed.borrow(ALICE, "USDC", 400_000 * USD))
    anvil.set_next_timestamp(anvil.timestamp() + 365 * 86_400)
    deployed.node.send(deployed.repay(ALICE, "USDC"))
    treasury = ask(deployed.node, deployed.reserves["USDC"].a_token, "RESERVE_TREASURY_ADDRESS()", returns=["address"])
    deployed.node.send(deployed.mint_to_treasury("USDC"))
    assert deployed.balance(deployed.reserves["USDC"].a_token, treasury) > 0


def test_blocks_are_as_large_as_before_after_deployments(
    shared: tuple[Anvil, DeployedAave], deployed: DeployedAave
) -> None:
    anvil = shared[0]
    deployed.install_sentinel(grace=0)
    deployed.install_sentinel(grace=0)
    anvil.mine()
    assert int(anvil.block()["gasLimit"], 16) == 60_000_000
