"""The development market of real Aave v3: what tests and demo do with it does what it says, in both releases."""

from collections.abc import Iterator

import pytest

from keeper.sim.markets.aave_v3 import ETH_MODE, STABLE, USD_MODE, V3_0_2, V3_6, VERSIONS, Deployed, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask
from keeper.sim.node.client import Node, Tx, impersonate

ALICE, BOB, CAROL = (bytes([part]) * 20 for part in (0xA1, 0xB0, 0xCA))
USD, ETHER = 10**6, 10**18
PRICES = {"WETH": 3_000.0, "USDC": 1.0, "WBTC": 60_000.0, "wstETH": 3_600.0, "DAI": 1.0, "LINK": 15.0, "sUSD": 1.0}


@pytest.fixture(scope="module", params=VERSIONS)
def deployed(request: pytest.FixtureRequest) -> Iterator[tuple[Anvil, Deployed]]:
    with Anvil(mining=False, gas_limit=60_000_000) as anvil:
        bed = deploy(Node.at(anvil.url), request.param)
        impersonate(bed.node, [ALICE, BOB, CAROL])
        for symbol in PRICES:
            units = 10**6 * 10 ** bed.listing.reserve(symbol).decimals
            bed.node.send(*bed.fund(symbol, [ALICE, BOB, CAROL], units))
        yield anvil, bed


@pytest.fixture
def bed(deployed: tuple[Anvil, Deployed]) -> Iterator[Deployed]:
    """The market as it was deployed, whatever the tests before did to it."""
    anvil, found = deployed
    snapshot = anvil.snapshot()
    yield found
    anvil.revert(snapshot)


def accepted(bed: Deployed, tx: Tx) -> bool:
    [receipt] = bed.node.try_send([tx])
    return int(receipt["status"], 16) == 1


def health(bed: Deployed, account: bytes) -> float:
    return bed.user_data(account)[5] / 10**18


def test_people_supply_borrow_repay_and_withdraw(bed: Deployed) -> None:
    bed.node.send(bed.supply(ALICE, "WETH", 2 * ETHER), bed.borrow(ALICE, "USDC", 3_000 * USD))
    assert bed.user_data(ALICE)[0] == 6_000 * 10**8
    assert health(bed, ALICE) == pytest.approx(6_000 * 0.825 / 3_000, rel=1e-6)
    bed.node.send(bed.repay(ALICE, "USDC"), bed.withdraw(ALICE, "WETH"))
    assert bed.user_data(ALICE)[:2] == (0, 0)


def test_an_emode_lends_more(bed: Deployed) -> None:
    bed.node.send(bed.supply(ALICE, "wstETH", 10 * ETHER))
    assert not accepted(bed, bed.borrow(ALICE, "WETH", 11 * ETHER))
    bed.node.send(bed.set_emode(ALICE, ETH_MODE), bed.borrow(ALICE, "WETH", 11 * ETHER))
    assert bed.user_data(ALICE)[3] == 9_500


def test_an_isolated_asset_is_collateral_for_stablecoins_alone(bed: Deployed) -> None:
    bed.node.send(bed.supply(ALICE, "LINK", 1_000 * ETHER))
    assert bed.user_data(ALICE)[0] == 0
    bed.node.send(bed.use_as_collateral(ALICE, "LINK"))
    assert not accepted(bed, bed.borrow(ALICE, "WETH", ETHER))
    assert accepted(bed, bed.borrow(ALICE, "DAI", 5_000 * ETHER))


def test_a_siloed_asset_is_borrowed_alone(bed: Deployed) -> None:
    bed.node.send(bed.supply(ALICE, "WBTC", 10**8), bed.borrow(ALICE, "sUSD", 1_000 * ETHER))
    assert not accepted(bed, bed.borrow(ALICE, "USDC", USD))


def test_a_tokens_are_given_away_and_taken_off_as_collateral(bed: Deployed) -> None:
    bed.node.send(bed.supply(ALICE, "WETH", 2 * ETHER), bed.transfer(ALICE, "WETH", BOB, ETHER))
    if bed.version == V3_6:  # in 3.0.2 what is given is collateral at once
        assert bed.user_data(BOB)[0] == 0
        bed.node.send(bed.use_as_collateral(BOB, "WETH"))
    assert bed.user_data(BOB)[0] == 3_000 * 10**8
    bed.node.send(bed.use_as_collateral(BOB, "WETH", False))
    assert bed.user_data(BOB)[0] == 0


def test_a_fall_of_the_price_is_liquidated_by_others(bed: Deployed) -> None:
    bed.node.send(bed.supply(ALICE, "WETH", 2 * ETHER), bed.borrow(ALICE, "USDC", 4_000 * USD))
    bed.node.send(bed.set_price("WETH", 2_400.0), *bed.move_pools(PRICES | {"WETH": 2_400.0}))
    assert health(bed, ALICE) < 1
    before = bed.balance(bed.reserves["WETH"].token, BOB)
    bed.node.send(bed.liquidate(BOB, ALICE, "WETH", "USDC"))
    assert bed.balance(bed.reserves["WETH"].token, BOB) > before
    assert health(bed, ALICE) > 1


def test_pools_follow_the_prices_that_they_are_moved_to(bed: Deployed) -> None:
    dollars = PRICES | {"WETH": 2_100.0, "WBTC": 45_000.0}
    bed.node.send(*bed.move_pools(dollars))
    for pool, address in bed.exits.pools.items():
        low, high = bed.exits.ordered(pool)
        root = ask(bed.node, address, "slot0()", returns=["uint160", *["int24", *["uint16"] * 3, "uint8", "bool"]])[0]
        decimals = bed.listing.reserve(low).decimals - bed.listing.reserve(high).decimals
        assert (root / 2**96) ** 2 * 10.0**decimals == pytest.approx(dollars[low] / dollars[high], rel=1e-9)


def test_guardians_pause_freeze_and_unpause(bed: Deployed) -> None:
    bed.node.send(bed.supply(ALICE, "WETH", ETHER), bed.pause("USDC"), bed.freeze("DAI"))
    assert not accepted(bed, bed.borrow(ALICE, "USDC", USD))
    assert not accepted(bed, bed.borrow(ALICE, "DAI", ETHER))
    bed.node.send(bed.pause("USDC", False))
    assert accepted(bed, bed.borrow(ALICE, "USDC", USD))
    bed.node.send(bed.pause_all())
    assert not accepted(bed, bed.repay(ALICE, "USDC"))


def test_a_sentinel_forbids_liquidations_while_the_sequencer_is_down(bed: Deployed) -> None:
    bed.node.send(bed.supply(ALICE, "WETH", 2 * ETHER), bed.borrow(ALICE, "USDC", 4_000 * USD))
    _, sequencer = bed.install_sentinel(grace=3_600)
    # At health above 0.95 the sentinel decides; below, nobody may be protected.
    bed.node.send(bed.set_price("WETH", 2_400.0), bed.set_sequencer(sequencer, True))
    assert not accepted(bed, bed.liquidate(BOB, ALICE, "WETH", "USDC"))
    bed.node.send(bed.set_sequencer(sequencer, False))
    assert accepted(bed, bed.liquidate(BOB, ALICE, "WETH", "USDC"))


def test_a_grace_period_protects_after_a_pause(deployed: tuple[Anvil, Deployed], bed: Deployed) -> None:
    if bed.version == V3_0_2:
        pytest.skip("3.0.2 knows no grace period")
    anvil = deployed[0]
    bed.node.send(bed.supply(ALICE, "WETH", 2 * ETHER), bed.borrow(ALICE, "USDC", 4_000 * USD))
    bed.node.send(bed.set_price("WETH", 2_400.0), bed.pause("WETH"), bed.pause("WETH", False, grace=3_600))
    assert not accepted(bed, bed.liquidate(BOB, ALICE, "WETH", "USDC"))
    anvil.set_next_timestamp(anvil.timestamp() + 3_700)
    assert accepted(bed, bed.liquidate(BOB, ALICE, "WETH", "USDC"))


def test_bad_debt_is_a_deficit_in_3_6_and_stays_with_the_account_in_3_0_2(bed: Deployed) -> None:
    bed.make_deficit(CAROL, BOB, "WETH", "USDC", 10_000.0)
    collateral, debt, *_ = bed.user_data(CAROL)
    assert collateral == 0
    if bed.version == V3_6:
        assert debt == 0
        left = bed.deficit("USDC")
        assert left > 2_000 * USD
        bed.node.send(*bed.cover_deficit("USDC", left - USD))
        assert bed.deficit("USDC") == USD
    else:
        assert debt > 2_000 * 10**8


def test_only_3_0_2_lends_at_stable_rates_and_prices_an_emode_as_one(bed: Deployed) -> None:
    bed.node.send(bed.supply(ALICE, "WETH", 2 * ETHER))
    old = bed.version == V3_0_2
    assert accepted(bed, bed.borrow(ALICE, "USDC", 1_000 * USD, STABLE)) == old
    assert set(bed.emode_feeds) == ({USD_MODE} if old else set())
    if old:
        assert accepted(bed, bed.swap_rate_mode(ALICE, "USDC", STABLE))
        bed.node.send(bed.set_emode_price(USD_MODE, 0.98))


def test_the_treasury_is_paid_in_a_tokens(deployed: tuple[Anvil, Deployed], bed: Deployed) -> None:
    anvil = deployed[0]
    bed.node.send(bed.supply(ALICE, "WBTC", 10 * 10**8), bed.borrow(ALICE, "USDC", 400_000 * USD))
    anvil.set_next_timestamp(anvil.timestamp() + 365 * 86_400)
    bed.node.send(bed.repay(ALICE, "USDC"))
    treasury = ask(bed.node, bed.reserves["USDC"].a_token, "RESERVE_TREASURY_ADDRESS()", returns=["address"])
    bed.node.send(bed.mint_to_treasury("USDC"))
    assert bed.balance(bed.reserves["USDC"].a_token, treasury) > 0


def test_blocks_are_as_large_as_before_after_deployments(deployed: tuple[Anvil, Deployed], bed: Deployed) -> None:
    anvil = deployed[0]
    bed.install_sentinel(grace=0)
    bed.install_sentinel(grace=0)
    anvil.mine()
    assert int(anvil.block()["gasLimit"], 16) == 60_000_000
