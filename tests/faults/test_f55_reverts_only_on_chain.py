"""F55: a contract passes the simulation and reverts on chain, again and again: each further attempt waits longer."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from keeper.model.chain import Call, hexed
from keeper.model.events import ASSET_QUARANTINED, TX_MINED, TX_REVERTED
from keeper.model.plan import Plan
from keeper.protocols.base import RevertAction
from keeper.sim.arena import arena_node, running
from tests.faults.conftest import Sea
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.weather import govern, prices, silence
from tests.support.world import TOKENS

HOSTILE = bytes(19) + b"\xd5"
STOP, REVERT = "0x00", "0x5f5ffd"
BLOCKS = 60
LOW = {"ETH": 1_500.0, "BTC": 30_000.0, "SOL": 75.0}


@pytest.fixture
async def bait(sea: Sea) -> Sea:
    """An executor that may call the hostile contract, and no breaker of reverts."""
    sea.world.protocol.action = RevertAction.BUG
    await sea.world.stop(sea.executor)
    sea.executor = await sea.world.executor(max_reverts=1000, targets=[sea.world.token, HOSTILE])
    return sea


async def hostile(sea: Sea, victim: int) -> Plan:
    return replace(await sea.world.plan(victim), call=Call(HOSTILE, b""))


async def spring(sea: Sea, *plans: Plan) -> None:
    """The contract stops when it is simulated, and reverts in the block."""
    sea.world.anvil.rpc("anvil_setCode", hexed(HOSTILE), STOP)
    await sea.submit(*plans)
    sea.world.anvil.rpc("anvil_setCode", hexed(HOSTILE), REVERT)
    await sea.mine()


async def test_one_account_is_tried_less_and_less(bait: Sea) -> None:
    for _ in range(BLOCKS):
        await spring(bait, await hostile(bait, 0))
    blocks = [event.block for event in bait.world.events if event.kind.code == "tx.reverted"]
    gaps = [after - before for before, after in pairwise(blocks)]
    assert len(blocks) <= 5
    assert all(after >= 2 * before - 1 for before, after in pairwise(gaps)), gaps
    assert bait.world.codes("asset.") == [], "one account is no asset"
    await bait.settle()


async def test_two_accounts_quarantine_the_asset(bait: Sea) -> None:
    for victim in (0, 1):
        await spring(bait, await hostile(bait, victim))
    event = bait.world.event("asset.quarantined")
    assert event.fields["subject"] == "take TKN"
    assert "reverted on chain" in event.fields["reason"]
    assert "take TKN" in bait.executor.in_flight().quarantined


async def test_after_the_quarantine_one_account_is_tried_until_one_succeeds(bait: Sea) -> None:
    for victim in (0, 1):
        await spring(bait, await hostile(bait, victim))
    until = bait.world.event("asset.quarantined").fields["until_block"]
    await bait.mine(until - bait.world.anvil.block_number())
    assert bait.executor.in_flight().quarantined == {}
    refused = await bait.submit(await bait.world.plan(0), await bait.world.plan(2))
    assert [one.account for one in refused] == [bait.world.victims[0]], "one that has not failed goes first"
    await bait.mine()
    assert await bait.submit(await bait.world.plan(1), await bait.world.plan(2, 5 * TOKENS)) == []
    await bait.settle()


def pause_for_one_block(arena: harsh.EngineArena) -> None:
    """The engine is paused before all transactions of the next block and unpaused after them."""
    govern(arena, "pause")
    request = {
        "from": hexed(arena.market.deployed.owner),
        "to": hexed(arena.market.deployed.engine),
        "data": hexed(arena.market.deployed.call("unpause")),
        "gas": "0x100000",
        "maxFeePerGas": hex(10**9 + 1),  # the node orders by it
        "maxPriorityFeePerGas": "0x1",
    }
    arena.anvil.set_next_base_fee(10**9)
    arena.anvil.rpc("eth_sendTransaction", request)


async def test_f55_the_daemon_tries_less_and_less_what_reverts_only_on_chain(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        for _ in range(2):
            await prices(arena, LOW)
        settings = {"live": True, "max_reverts": 1000, "cooldown_blocks": 2}
        async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url, **settings)) as keeper:
            for _ in range(40):
                pause_for_one_block(arena)
                await silence(arena, keeper, 12)
            reverted = keeper.of(TX_REVERTED)
            tries = Counter(event.fields["account"] for event in reverted)
            assert max(tries.values()) <= 5, "of 40 blocks, with a wait of 2 that doubles"
            late = [event for event in reverted if event.block > reverted[0].block + 10]
            kinds = {event.fields["subject"] for event in keeper.of(ASSET_QUARANTINED)}
            assert len(late) <= 3 * len(kinds), "after the first quarantine one account is tried"
            mined = len(keeper.of(TX_MINED))
            for _ in range(45):
                await silence(arena, keeper, 12)
            assert len(keeper.of(TX_MINED)) > mined + 20, "what succeeds again is taken again"
            await assert_invariants(arena, [proxy], [keeper])
