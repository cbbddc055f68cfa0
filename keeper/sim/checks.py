"""Checks of a keeper that ran on an arena: nothing that pays is left, and the journal equals the chain."""

import asyncio

from keeper.abi import load_abi
from keeper.app.decide import open_decider
from keeper.app.session import open_session
from keeper.model.chain import hexed
from keeper.model.events import Event
from keeper.model.plan import InFlight, Plan
from keeper.observe.pnl import NATIVE, summarise
from keeper.protocols import executor
from keeper.settings import Settings
from keeper.sim.arena import Arena, Running
from keeper.sim.market import MarketT
from keeper.sim.node.artifacts import log_of

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
    """What a keeper with these settings and nothing in flight would send now, by a fresh read of the chain."""
    session = await open_session(settings, _ignore, keeper=keeper)
    try:
        sync, decider = open_decider(session, settings, _ignore)
        decision = await decider.decide(await decider.advance_to_head(sync), InFlight())
    finally:
        await session.chain.close()
    return decision.plans


def _ignore(_event: Event) -> None:
    """Nobody reads these events."""


def check_books(arena: Arena[MarketT]) -> None:
    """Each mined order earned at least its minimum profit, and all together earned what the executor gained.

    Raises AssertionError.
    """
    for intent in arena.mined():
        assert intent.outcome is not None
        [order] = _ORDERS[intent.data[:4]].arguments(intent.data)
        receipt = arena.anvil.rpc("eth_getTransactionReceipt", hexed(intent.outcome.tx_hash))
        [earned] = executor.liquidated(arena.market.holder, [log_of(log) for log in receipt["logs"]])
        assert earned.profit >= order[-2] >= 0
        assert intent.outcome.profit[earned.token] == earned.profit
    sums = summarise(arena.intents()).profit
    booked = {token: units for token, units in sums.items() if units and token != NATIVE}
    now = arena.held()
    assert booked == {token: now[token] - units for token, units in arena.given.items() if now[token] != units}
