"""Liquidations of real Aave that random weather seldom brings, foretold to the wei; and what is refused, by name."""

from collections.abc import Callable, Iterator

import pytest

from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.model.plan import Opportunity, token_key
from keeper.protocols.aave_v3.calldata import FLASH, OWN
from keeper.sim.markets.aave_v3 import V3_0_2, V3_6
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import log_of
from keeper.sim.node.client import Tx
from tests.support.aave import KEEPER, AaveBench
from tests.support.engine import account

ALICE = account(0)
BLOCK_S = 12
TARGET = 11 * WAD // 10


@pytest.fixture(params=[V3_0_2, V3_6])
def bench(request: pytest.FixtureRequest) -> Iterator[AaveBench]:
    with Anvil(mining=False) as anvil:
        yield AaveBench.on(anvil, request.param, 2)


def found(bench: AaveBench, **limits: int) -> list[Opportunity]:
    snapshot = bench.snapshot()
    row = snapshot.columns.accounts.row(ALICE)
    assert row is not None
    tokens = {token_key(bench.deployed.reserves[symbol].token): units for symbol, units in limits.items()}
    return bench.protocol.opportunities(snapshot, row, snapshot.block.timestamp + BLOCK_S, TARGET, tokens)


def carried_out(bench: AaveBench, item: Opportunity) -> Opportunity:
    """Exactly what was foretold: profit, amounts, the account's six figures."""
    snapshot = bench.snapshot()
    call = bench.protocol.encode(snapshot, item, item.reward_wad)
    tx = Tx(KEEPER, call.to, call.data, item.gas_limit)
    [receipt] = bench.mine_at(snapshot.block.timestamp + BLOCK_S, tx)
    done = bench.protocol.achieved(snapshot.state, ALICE, KEEPER, [log_of(log) for log in receipt["logs"]])
    assert done is not None
    assert (done.rewards, done.size, done.details["seized"]) == (item.rewards, item.size, item.details["seized"])
    assert bench.deployed.user_data(ALICE) == tuple(item.after.views.values())
    return item


def one(items: list[Opportunity], kind: str, subject: str) -> Opportunity:
    return next(item for item in items if (item.kind, item.subject) == (kind, subject))


def in_debt(bench: AaveBench) -> None:
    """Two ether, three thousand dollars beside them, and as much debt as they lend; then ether falls."""
    deployed = bench.deployed
    bench.node.send(
        deployed.supply(ALICE, "WETH", 2 * 10**18),
        deployed.supply(ALICE, "USDC", 3_000 * 10**6),
        deployed.borrow(ALICE, "USDC", 4_000 * 10**6),
        deployed.borrow(ALICE, "DAI", 3_000 * 10**18),
    )
    bench.mine_at(bench.head().timestamp + 3_600, deployed.set_price("WETH", 2_700.0))


@pytest.mark.parametrize("kind", [OWN, FLASH])
def test_the_same_asset_on_both_sides_needs_no_exit(bench: AaveBench, kind: str) -> None:
    in_debt(bench)
    item = one(found(bench), kind, "USDC/USDC")
    if bench.deployed.version == V3_0_2 and kind == FLASH:
        # A part of the premium goes to those who supply what was borrowed, and Alice is one of them.
        assert item.rewards[bench.deployed.reserves["USDC"].token] > 0
        return
    assert "pool0" not in carried_out(bench, item).details


def test_the_purse_bounds_what_is_covered_with_own_tokens(bench: AaveBench) -> None:
    in_debt(bench)
    item = one(found(bench, USDC=700 * 10**6), OWN, "WETH/USDC")
    assert item.spends == {bench.deployed.reserves["USDC"].token: item.details["offer"]}
    assert item.details["offer"] <= 700 * 10**6
    assert carried_out(bench, item).partial


def test_with_the_last_collateral_every_debt_is_written_off_in_3_6_and_stays_in_3_0_2(bench: AaveBench) -> None:
    deployed = bench.deployed
    bench.node.send(
        deployed.supply(ALICE, "WETH", 10**18),
        deployed.borrow(ALICE, "USDC", 1_200 * 10**6),
        deployed.borrow(ALICE, "DAI", 1_150 * 10**18),
    )
    bench.mine_at(bench.head().timestamp + 3_600, deployed.set_price("WETH", 1_000.0))
    bench.node.send(
        *deployed.move_pools({spec.symbol: spec.dollars for spec in deployed.listing.reserves} | {"WETH": 1_000.0})
    )
    after = carried_out(bench, one(found(bench), FLASH, "WETH/USDC")).after
    assert after.views["totalCollateralBase"] == 0
    assert (after.views["totalDebtBase"] == 0) == (deployed.version == V3_6)
    assert not after.liquidatable


def test_a_sale_that_pools_have_no_room_for_is_made_smaller(bench: AaveBench) -> None:
    deployed = bench.deployed
    units = 40_000 * 10**18
    bench.node.send(
        *deployed.fund("LINK", [ALICE], units * 40),
        deployed.supply(ALICE, "LINK", units * 40),
        deployed.use_as_collateral(ALICE, "LINK"),
        deployed.borrow(ALICE, "DAI", 15_000_000 * 10**18),
    )
    bench.mine_at(bench.head().timestamp + 60, deployed.set_price("LINK", 13.0))
    items = found(bench)
    assert items
    for item in items:
        assert item.partial
        for used, room in item.uses.values():
            assert used <= room
    carried_out(bench, items[0])


Guard = Callable[[AaveBench], Tx]


@pytest.mark.parametrize(
    ("guard", "why"),
    [
        (lambda deployed: deployed.pause("WETH"), "paused"),
        (lambda deployed: deployed.pause_all(), "paused"),
    ],
    ids=["one reserve", "all"],
)
def test_what_is_paused_is_on_hold(bench: AaveBench, guard: Guard, why: str) -> None:
    deployed = bench.deployed
    bench.node.send(deployed.supply(ALICE, "WETH", 10**18), deployed.borrow(ALICE, "USDC", 2_300 * 10**6))
    bench.mine_at(bench.head().timestamp + 60, deployed.set_price("WETH", 2_600.0), guard(deployed))  # type: ignore[arg-type]
    with pytest.raises(Refused, match=why) as refusal:
        found(bench)
    assert refusal.value.code == "hold"


def test_the_sentinel_and_a_grace_period_hold_until_they_do_not(bench: AaveBench) -> None:
    deployed = bench.deployed
    bench.node.send(deployed.supply(ALICE, "WETH", 10**18), deployed.borrow(ALICE, "USDC", 2_300 * 10**6))
    _, sequencer = deployed.install_sentinel(600)
    bench.node.send(deployed.set_sequencer(sequencer, False, bench.head().timestamp))
    bench.discover()
    bench.mine_at(bench.head().timestamp + 60, deployed.set_price("WETH", 2_700.0))
    with pytest.raises(Refused, match="sentinel"):
        found(bench)
    deep = deployed.set_price("WETH", 2_500.0)
    bench.mine_at(bench.head().timestamp + 60, deep)  # below 0.95 nobody asks the sentinel
    assert found(bench)
    bench.mine_at(bench.head().timestamp + 600, deployed.set_price("WETH", 2_700.0))
    assert found(bench)
    if deployed.version == V3_6:
        bench.mine_at(bench.head().timestamp + 12, deployed.pause("USDC"), deployed.pause("USDC", False, grace=300))
        with pytest.raises(Refused, match="grace period"):
            found(bench)
        bench.mine_at(bench.head().timestamp + 300)
        carried_out(bench, found(bench)[0])
