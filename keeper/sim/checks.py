"""What must hold of a keeper that worked on an arena: nothing that pays is left, and the journal equals the chain."""

import asyncio

from keeper.abi import load_abi
from keeper.app.policies import native_price_of, policy_of
from keeper.app.session import open_session
from keeper.book.sync import load_snapshot
from keeper.chain.balances import token_balances
from keeper.model.chain import hexed
from keeper.model.health import WAD
from keeper.model.plan import Funds, InFlight, Plan
from keeper.observe.pnl import NATIVE, summarise
from keeper.plan.planner import Situation, choose
from keeper.protocols import executor
from keeper.risk.screening import assess
from keeper.settings import Settings
from keeper.sim.arena import Arena, Running
from keeper.sim.market import MarketT
from keeper.sim.node.artifacts import log_of
from keeper.sim.player import BLOCK_S

PLAN_S = 0.2  # real seconds until the plans of a handled block are with the node
_ORDERS = {function.selector: function for function in load_abi("KeeperExecutor").functions.values()}


async def settle(arena: Arena[MarketT], keeper: Running, most: int) -> int:
    """Mine quiet blocks until nothing is in flight and nothing that pays is left; how many it took.

    Raises AssertionError after `most` blocks.
    """
    for count in range(most):
        await keeper.handled(arena.anvil.block_number())
        await asyncio.sleep(PLAN_S)
        if not arena.player.waiting() and not await plans_left(keeper.daemon.settings, arena.keeper):
            return count
        await arena.quiet()
    raise AssertionError(f"not settled after {most} blocks")


async def plans_left(settings: Settings, keeper: bytes) -> tuple[Plan, ...]:
    """What a keeper with these funds and nothing in flight would send now, by a fresh read of the chain."""
    session = await open_session(settings, lambda _: None, keeper=keeper)
    try:
        snapshot = await load_snapshot(session.chain.reader, session.protocol, session.deployment.start_block)
        tokens = session.protocol.purse(snapshot.state)
        held = await token_balances(session.chain.reader, snapshot.block, session.deployment.holder, tokens)
    finally:
        await session.chain.close()
    when = snapshot.block.timestamp + BLOCK_S
    price = native_price_of(settings).at(session.protocol, snapshot, when)
    funds = Funds(1_000 * WAD, price, held)
    found = assess(session.protocol, snapshot, when)
    situation = Situation(snapshot, when, funds, InFlight())
    return choose(session.protocol, situation, found, policy_of(settings)).plans


def check_books(arena: Arena[MarketT]) -> None:
    """Every mined order of the executor earned what it demanded, and all together what the executor gained.

    Raises AssertionError.
    """
    for intent in arena.mined():
        assert intent.outcome is not None
        [order] = _ORDERS[intent.data[:4]].arguments(intent.data)
        receipt = arena.anvil.rpc("eth_getTransactionReceipt", hexed(intent.outcome.tx_hash))
        [earned] = executor.liquidated(arena.market.holder, [log_of(log) for log in receipt["logs"]])
        assert earned.profit >= order[-1] >= 0
        assert intent.outcome.profit[earned.token] == earned.profit
    sums = summarise(arena.intents()).profit
    booked = {token: units for token, units in sums.items() if units and token != NATIVE}
    now = arena.held()
    assert booked == {token: now[token] - units for token, units in arena.given.items() if now[token] != units}
