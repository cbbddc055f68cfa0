"""F58: a contract that passes only when it recognises a simulation is simulated as reverting, and nothing is sent."""

from dataclasses import replace
from pathlib import Path

import pytest

from keeper.model.chain import Call, hexed
from keeper.model.events import PLAN_MADE, PLAN_REJECTED, TX_MINED, TX_REVERTED
from keeper.model.plan import Plan, Rejection
from keeper.sim.arena import arena_node, running
from tests.faults.conftest import Sea
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy, answer
from tests.support.traps import LOOKS_MINED, guard
from tests.support.weather import prices
from tests.support.world import TOKENS

HOSTILE = bytes(19) + b"\xd5"
BLOCK_GAS = 30_000_000
LOW = {"ETH": 1_500.0, "BTC": 30_000.0, "SOL": 75.0}


def passes_if(condition: bytes) -> str:
    """Code that stops when the condition is on the stack, and reverts otherwise."""
    return hexed(condition + bytes([0x60, len(condition) + 6]) + bytes.fromhex("575f5ffd5b00"))


def push(value: int) -> bytes:
    return b"\x63" + value.to_bytes(4, "big")


def conditions(sea: Sea, number: int, timestamp: int) -> dict[str, bytes]:
    """How a contract tells a careless simulation on top of the head with this number and timestamp."""
    payer = b"\x73" + sea.world.keeper
    return {
        "no gas price": b"\x3a\x15",
        "no base fee": b"\x48\x15",
        "the head's number": push(number) + b"\x43\x11\x15",
        "the head's timestamp": push(timestamp) + b"\x42\x14",
        "more gas than a block has": push(BLOCK_GAS) + b"\x5a\x11",
        "another sender": payer + b"\x32\x14\x15",
        "a price below the base fee": b"\x48\x3a\x10",
    }


async def hostile_plan(sea: Sea, code: str) -> Plan:
    sea.world.anvil.rpc("anvil_setCode", hexed(HOSTILE), code)
    await sea.world.stop(sea.executor)
    sea.executor = await sea.world.executor(targets=[sea.world.token, HOSTILE])
    return replace(await sea.world.plan(0, TOKENS), call=Call(HOSTILE, b""))


@pytest.mark.parametrize(
    "how",
    [
        "no gas price",
        "no base fee",
        "the head's number",
        "the head's timestamp",
        "more gas than a block has",
        "another sender",
        "a price below the base fee",
    ],
)
async def test_a_contract_that_passes_only_in_a_simulation_is_refused(sea: Sea, how: str) -> None:
    await sea.mine(2)
    head = await sea.world.chain.reader.head()
    plan = await hostile_plan(sea, passes_if(conditions(sea, head.number, head.timestamp)[how]))
    [refused] = await sea.submit(plan)
    assert refused.reason is Rejection.SIMULATION_FAILED
    assert sea.proxy.sent == []


async def test_the_opposite_contract_is_sent(sea: Sea) -> None:
    """The refusals above are the contracts' own: one that passes at real fees only goes out."""
    await sea.mine(2)
    plan = await hostile_plan(sea, passes_if(b"\x48\x3a\x11"))
    assert await sea.submit(plan) == []
    assert len(sea.proxy.sent) == 1


async def test_a_signer_that_cannot_pay_at_the_fee_given_is_refused_for_that(sea: Sea) -> None:
    """The balance changes between the reading of balances and the simulation."""
    plan = await sea.world.plan(0)
    sea.proxy.when("eth_getBalance").do(answer(hex(10**20)))
    sea.world.anvil.set_balance(sea.world.keeper, 10**12)
    [refused] = await sea.submit(plan)
    assert refused.reason is Rejection.INSUFFICIENT_FUNDS
    assert "cannot pay" in refused.message
    assert sea.proxy.sent == []


async def test_f58_the_daemon_sends_nothing_for_a_token_that_only_simulations_can_move(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        guard(anvil, arena.market.deployed.tokens["WETH"], LOOKS_MINED)
        async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url, live=True)) as keeper:
            for _ in range(12):
                await keeper.handled((await prices(arena, LOW)).number)
            assert not keeper.of(TX_REVERTED)
            assert "WETH" not in {e.fields["subject"] for e in keeper.of(PLAN_MADE) if e.fields["kind"] == "seize"}
            assert "simulation_failed" in {event.fields["reason"] for event in keeper.of(PLAN_REJECTED)}
            assert keeper.of(TX_MINED), "others go on"
            await assert_invariants(arena, [proxy], [keeper])
