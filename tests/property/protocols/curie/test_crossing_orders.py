"""Makers that become liquidatable only at the next block's time: the key signs what was planned for them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from keeper.execute.signing.calls import AdapterCalls, LimitReached
from keeper.model.plan import Plan
from keeper.protocols.base import Snapshot
from keeper.sim.node.client import Tx
from tests.support.curie import OPERATOR, CurieBench, account, curie_bench
from tests.support.planning import EXACT, planned

MAKERS = range(5, 9)
BLOCK_S = 12


def crossing(bench: CurieBench) -> tuple[Snapshot, Plan]:
    """A block in which a maker is safe, and the plan for it in the next one."""
    deployed, node, price = bench.deployed, bench.node, 3_000.0
    while price < 5_000:
        price *= 1.04
        node.send(deployed.set_oracle("ETH", price), *deployed.move_pool("vETH", price))
        for _ in range(70):
            deployed.warp(BLOCK_S)
            snapshot = bench.snapshot()
            now = snapshot.block.timestamp
            for index in MAKERS:
                row = snapshot.columns.accounts.row(account(index))
                assert row is not None
                before, after = (bench.protocol.account_value(snapshot, row, at) for at in (now, now + BLOCK_S))
                if after.liquidatable and not before.liquidatable and before.holdings.orders:
                    plans = planned(bench.protocol, snapshot, now + BLOCK_S).plans
                    found = [plan for plan in plans if plan.account == account(index)]
                    if found:
                        return snapshot, found[0]
    raise AssertionError("no maker crossed between two blocks")


@pytest.fixture(scope="module")
def bench() -> Iterator[CurieBench]:
    """Shorts with orders in the pool's range."""
    with curie_bench(means=EXACT, gas_limit=200_000_000) as made:
        deployed, node = made.deployed, made.node
        deployed.admit(*map(account, MAKERS))
        node.send(deployed.mint("USDC", made.executor, 10**13))
        for index in MAKERS:
            node.send(*deployed.fund(account(index), "USDC", 22_000 * 10**6))
        node.send(*(deployed.trade(account(index), "vETH", -(28 + 3 * index) * 10**18) for index in MAKERS))
        for index in MAKERS:
            ticks = deployed.ticks("vETH", 2_100, 6_000 + 100 * index)
            node.send(deployed.add_liquidity(account(index), "vETH", 10**14, 3 * 10**17, ticks))
        yield made


def test_a_liquidation_planned_for_the_next_block_is_signed_and_replaced(bench: CurieBench) -> None:
    snapshot, plan = crossing(bench)
    now = snapshot.block.timestamp + BLOCK_S
    for at in (snapshot.block.timestamp, now, now + 1):
        rules = AdapterCalls(bench.protocol)
        rules.see(replace(snapshot, block=replace(snapshot.block, timestamp=at)))
        for replaces in (False, True):
            stakes = rules.check(plan.call, replaces)
            assert replaces or (stakes and stakes.notional_wad)
    [receipt] = bench.mine_at(now, Tx(OPERATOR, plan.call.to, plan.call.data, plan.opportunity.gas_limit))
    assert int(receipt["status"], 16) == 1
    bench.node.send(bench.deployed.close(plan.account, "vETH"))
    rules = AdapterCalls(bench.protocol)
    rules.see(bench.snapshot())
    with pytest.raises(LimitReached, match="position in vETH is 0, not"):  # somebody was faster
        rules.check(plan.call, replaces=True)
