"""All liquidations of a block, mined one after the other: each earns what it was planned with, to the unit."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from keeper.model.plan import Plan
from keeper.sim.markets.aave_v3 import V3_6
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import log_of
from keeper.sim.node.client import Tx
from tests.support.aave import KEEPER, AaveBench
from tests.support.engine import account
from tests.support.planning import EXACT, in_flight, planned

PEOPLE = range(6)
LENDER = account(6)
BLOCK_S = 12


@pytest.fixture(scope="module")
def bench() -> Iterator[AaveBench]:
    with Anvil(mining=False, gas_limit=100_000_000) as anvil:
        bench = AaveBench.on(anvil, V3_6, accounts=7, means=EXACT)
        deployed = bench.deployed
        bench.node.send(
            deployed.supply(LENDER, "USDC", 1_900_000 * 10**6), deployed.supply(LENDER, "DAI", 1_900_000 * 10**18)
        )
        yield bench


people = st.lists(
    st.tuples(st.sampled_from(["LINK", "WETH"]), st.sampled_from(["USDC", "DAI"]), st.integers(2_000, 60_000)),
    min_size=3,
    max_size=len(PEOPLE),
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(people, st.integers(0, 4))
def test_each_plan_of_a_block_earns_what_was_quoted_after_the_earlier_ones(bench: AaveBench, borrowers, sent) -> None:
    back = bench.anvil.snapshot()
    try:
        crashed(bench, borrowers)
        snapshot = bench.snapshot()
        now = snapshot.block.timestamp + BLOCK_S
        first = list(planned(bench.protocol, snapshot, now, max_in_flight=sent).plans) if sent else []
        later = planned(bench.protocol, snapshot, now, in_flight(first)).plans
        assert len(later) + len(first) > 1
        carried_out(bench, [*first, *later], now)
    finally:
        bench.anvil.revert(back)
        bench.discover()


def crashed(bench: AaveBench, borrowers) -> None:
    """Everybody borrows what they can; then LINK and ether fall, at the oracle and in the pools."""
    deployed = bench.deployed
    for index, (held, owed, dollars) in enumerate(borrowers):
        spec = deployed.listing.reserve(held)
        units = int(dollars / spec.dollars * 10**spec.decimals)
        bench.node.send(deployed.supply(account(index), held, units))
        bench.node.send(deployed.use_as_collateral(account(index), held))
        room = deployed.user_data(account(index))[2]
        debt = 10 ** deployed.listing.reserve(owed).decimals * room * 99 // 100 // 10**8
        bench.node.send(deployed.borrow(account(index), owed, debt))
    prices = {spec.symbol: spec.dollars for spec in deployed.listing.reserves}
    prices |= {"LINK": prices["LINK"] * 0.78, "WETH": prices["WETH"] * 0.9}
    bench.node.send(*(deployed.set_price(name, prices[name]) for name in ("LINK", "WETH")))
    bench.node.send(*deployed.move_pools(prices))


def carried_out(bench: AaveBench, plans: list[Plan], now: int) -> None:
    state = bench.snapshot().state
    txs = [Tx(KEEPER, plan.call.to, plan.call.data, plan.opportunity.gas_limit) for plan in plans]
    receipts = bench.mine_at(now, *txs)
    assert len({receipt["blockNumber"] for receipt in receipts}) == 1
    for plan, receipt in zip(plans, receipts, strict=True):
        logs = [log_of(log) for log in receipt["logs"]]
        done = bench.protocol.achieved(state, plan.account, KEEPER, logs)
        assert done is not None, (plan.opportunity, receipt["status"])
        assert done.rewards == plan.opportunity.rewards
