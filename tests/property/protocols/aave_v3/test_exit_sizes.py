"""An account too large for the pools that its collateral is sold in: the keeper takes the part that brings most."""

from collections.abc import Iterator

import pytest

from keeper.model.health import WAD
from keeper.model.plan import Opportunity, token_key
from keeper.protocols.aave_v3.calldata import OWN
from keeper.sim.markets.aave_v3 import V3_6
from keeper.sim.node.anvil import Anvil
from tests.support.aave import AaveBench
from tests.support.engine import account

WHALE, LENDER = account(0), account(1)
FALLEN = 0.75  # of the oracle's price
SIZES = 32
LINKS, DOLLARS = 100_000, 1_900_000


@pytest.fixture(scope="module")
def bench() -> Iterator[AaveBench]:
    with Anvil(mining=False, gas_limit=60_000_000) as anvil:
        yield AaveBench.on(anvil, V3_6, accounts=2)


@pytest.mark.parametrize("pools_fall", [1.0, 0.97, 0.95, 0.93])
def test_no_other_size_brings_more_than_the_best_one(bench: AaveBench, pools_fall: float) -> None:
    back = bench.anvil.snapshot()
    owed = crashed(bench, pools_fall)
    offers = opportunities(bench, [owed * part // SIZES for part in range(1, SIZES + 1)])
    best, others = offers.pop(0), [item for some in offers for item in some]
    most = max(item.reward_wad for item in best)
    assert len(others) >= SIZES
    assert max(item.reward_wad for item in others) <= max(most, 0) * 1_001 // 1_000
    if pools_fall < 1:  # the pools decide, not the target
        assert {item.size for item in best if item.reward_wad == most} != {max(item.size for item in best)}
    bench.anvil.revert(back)
    bench.discover()


def crashed(bench: AaveBench, pools_fall: float) -> int:
    """A borrower whose collateral is worth less at the oracle, and less again in the pools; units of debt."""
    deployed, usdc = bench.deployed, 10**6
    link = 10 ** deployed.listing.reserve("LINK").decimals
    deployed.node.send(deployed.supply(LENDER, "USDC", DOLLARS * usdc), deployed.supply(WHALE, "LINK", LINKS * link))
    deployed.node.send(deployed.use_as_collateral(WHALE, "LINK"))
    deployed.node.send(deployed.borrow(WHALE, "USDC", deployed.user_data(WHALE)[2] * usdc // 10**8 * 99 // 100))
    prices = {spec.symbol: spec.dollars for spec in deployed.listing.reserves}
    prices["LINK"] *= FALLEN
    deployed.node.send(deployed.set_price("LINK", prices["LINK"]))
    prices["LINK"] *= pools_fall
    deployed.node.send(*deployed.move_pools(prices))
    return deployed.user_data(WHALE)[1] * usdc // 10**8


def opportunities(bench: AaveBench, purses: list[int]) -> list[list[Opportunity]]:
    """With own tokens: with any amount of them first, then with each of these purses."""
    snapshot, target = bench.snapshot(), 12 * WAD // 10
    row, now = snapshot.columns.accounts.row(WHALE), snapshot.block.timestamp
    token = token_key(bench.deployed.reserves["USDC"].token)
    limits = [{}, *({token: units} for units in purses)]
    found = [bench.protocol.opportunities(snapshot, row, now, target, limit) for limit in limits]
    return [[item for item in some if item.kind == OWN] for some in found]
