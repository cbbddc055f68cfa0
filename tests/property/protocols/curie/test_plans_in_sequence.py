"""All liquidations of a block, mined one after the other: each earns what it was planned with, to the unit."""

from collections.abc import Iterator

import pytest

from keeper.execute.signing.calls import AdapterCalls
from keeper.model.plan import Plan
from keeper.protocols.curie.opportunities.collateral import SEIZE
from keeper.protocols.curie.opportunities.position import LIQUIDATE
from keeper.sim.node.artifacts import log_of
from keeper.sim.node.client import Tx
from tests.support.curie import OPERATOR, CurieBench, account, curie_bench
from tests.support.planning import EXACT, in_flight, planned

LONGS, MAKERS, DEBTORS = range(5), range(5, 7), range(7, 11)
BLOCK_S = 12


@pytest.fixture(scope="module")
def bench() -> Iterator[CurieBench]:
    """Longs, longs with orders in the pool's range, and people with collateral in ether; then ether falls."""
    with curie_bench(means=EXACT, gas_limit=200_000_000) as made:
        deployed, node = made.deployed, made.node
        everybody = [account(index) for index in (*LONGS, *MAKERS, *DEBTORS)]
        deployed.admit(*everybody)
        node.send(deployed.mint("USDC", made.executor, 10**13))
        for index in (*LONGS, *MAKERS):
            node.send(*deployed.fund(account(index), "USDC", 22_000 * 10**6))
        for index in DEBTORS:
            node.send(*deployed.fund(account(index), "WETH", 30 * 10**18))
        node.send(*(deployed.trade(account(index), "vETH", (28 + 3 * index) * 10**18) for index in (*LONGS, *MAKERS)))
        node.send(*(deployed.trade(account(index), "vETH", (36 + index) * 10**18) for index in DEBTORS))
        for index in MAKERS:
            ticks = deployed.ticks("vETH", 2_100, 3_300 + 100 * index)
            node.send(deployed.add_liquidity(account(index), "vETH", 3 * 10**18, 9_000 * 10**18, ticks))
        price = 3_000.0
        while price > 2_200:
            price *= 0.96
            node.send(deployed.set_oracle("ETH", price), *deployed.move_pool("vETH", price))
            node.send(deployed.exits.move(("WETH", "USDC", 500), {"WETH": price, "USDC": 1.0}))
            deployed.warp(30)
        node.send(*(deployed.close(account(index), "vETH") for index in DEBTORS))
        deployed.warp(1_000)  # collateral is valued at a mean of a quarter of an hour
        yield made


@pytest.mark.parametrize("sent", [0, 1, 3])
def test_each_plan_of_a_block_earns_what_was_quoted_after_the_earlier_ones(bench: CurieBench, sent: int) -> None:
    """`sent`: how many of them are in flight when the others are planned."""
    snapshot = bench.snapshot()
    copy = bench.anvil.snapshot()
    try:
        now = snapshot.block.timestamp + BLOCK_S
        first = list(planned(bench.protocol, snapshot, now, max_in_flight=sent).plans) if sent else []
        later = planned(bench.protocol, snapshot, now, in_flight(first)).plans
        plans = [*first, *later]
        kinds = [plan.opportunity.kind for plan in plans]
        assert min(kinds.count(LIQUIDATE), kinds.count(SEIZE)) > 1, kinds
        assert any(plan.opportunity.details.get("cancel") for plan in plans)
        carried_out(bench, plans, now)
    finally:
        bench.anvil.revert(copy)
        bench.went_back()


def carried_out(bench: CurieBench, plans: list[Plan], now: int) -> None:
    snapshot = bench.snapshot()
    state, rules = snapshot.state, AdapterCalls(bench.protocol)
    rules.see(snapshot)
    for plan in plans:  # also those after whose predecessors the pool's price is another one
        rules.check(plan.call, replaces=False)
    txs = [Tx(OPERATOR, plan.call.to, plan.call.data, plan.opportunity.gas_limit) for plan in plans]
    receipts = bench.mine_at(now, *txs)
    assert len({receipt["blockNumber"] for receipt in receipts}) == 1
    for plan, receipt in zip(plans, receipts, strict=True):
        logs = [log_of(log) for log in receipt["logs"]]
        done = bench.protocol.achieved(state, plan.account, OPERATOR, logs)
        assert done is not None, (plan.opportunity, receipt["status"])
        assert done.rewards == plan.opportunity.rewards, plan.opportunity
