"""F56: one account that always fails costs others of its asset nothing."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from keeper.model.chain import Call, hexed, unhexed
from keeper.model.events import ASSET_QUARANTINED, PLAN_MADE, PLAN_REJECTED, TX_MINED
from keeper.protocols.base import RevertAction
from keeper.sim.arena import Running, arena_node, running
from tests.faults.conftest import Sea
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.traps import concerns, guard
from tests.support.weather import prices, step_until
from tests.support.world import TOKENS

TOO_MUCH = 5000 * TOKENS
LOW = {"ETH": 1_500.0, "BTC": 30_000.0, "SOL": 75.0}


async def test_one_bait_account_quarantines_nothing(sea: Sea) -> None:
    sea.world.protocol.action = RevertAction.HOLD
    for _ in range(12):
        refused = await sea.submit(await sea.world.plan(0, TOO_MUCH), await sea.world.plan(1, TOKENS))
        assert [one.account for one in refused] == [sea.world.victims[0]]
        assert sea.executor.in_flight().quarantined == {}
        await sea.mine()
    assert sea.world.tokens(sea.world.keeper) == 12 * TOKENS
    assert sea.world.codes("asset.") == []
    await sea.settle()


async def test_one_bait_account_alone_quarantines_nothing(sea: Sea) -> None:
    """Also where no other account of the asset succeeds in between."""
    sea.world.protocol.action = RevertAction.HOLD
    for _ in range(12):
        await sea.submit(await sea.world.plan(0, TOO_MUCH))
        await sea.mine()
    assert await sea.submit(await sea.world.plan(1)) == []
    assert sea.world.codes("asset.") == []
    await sea.settle()


async def test_a_gas_limit_that_is_too_low_is_not_the_assets_fault(sea: Sea) -> None:
    """Both fail without a reason; only what passes with more gas ran out of it."""
    sea.world.protocol.action = RevertAction.HOLD
    hungry, empty = bytes(19) + b"\xd6", bytes(19) + b"\xd7"
    loop = b"\x61\x10\x00" + bytes.fromhex("5b600190038060035700")  # 4,096 rounds of 26 gas
    sea.world.anvil.rpc("anvil_setCode", hexed(hungry), hexed(loop))
    sea.world.anvil.rpc("anvil_setCode", hexed(empty), "0x5f5ffd")
    for target, reason in ((hungry, "out of gas at its limit of 100000"), (empty, "()")):
        for victim in (0, 1):
            [refused] = await sea.submit(replace(await sea.world.plan(victim), call=Call(target, b"")))
            assert reason in refused.message
            await sea.mine(sea.world.policy.cooldown_blocks + 1)
        assert ("asset.quarantined" in sea.world.codes("asset.")) == (target == empty)
    assert sea.proxy.sent == []


def made(keeper: Running) -> Counter[tuple[str, str]]:
    return Counter((event.fields["kind"], event.fields["subject"]) for event in keeper.of(PLAN_MADE))


async def test_f56_one_bait_account_does_not_stop_the_daemon_from_taking_others_of_its_asset(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=90, blocks=30)
        async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url, live=True)) as keeper:
            await step_until(arena, keeper, lambda: made(keeper) and made(keeper).most_common(1)[0][1] >= 2)
            [(asset, _)] = made(keeper).most_common(1)
            bait = next(e.fields["account"] for e in reversed(keeper.of(PLAN_MADE)) if e.fields["subject"] == asset[1])
            guard(anvil, arena.market.deployed.engine, concerns(unhexed(bait)))
            begun = anvil.block_number()
            for _ in range(20):
                await keeper.handled((await prices(arena, LOW)).number)
            refused = [e for e in keeper.of(PLAN_REJECTED) if e.fields["account"] == bait]
            assert [e for e in refused if e.fields["reason"] == "simulation_failed"], "it is tried again and again"
            assert keeper.of(ASSET_QUARANTINED) == []
            made_later = [event for event in keeper.of(PLAN_MADE) if (event.block or 0) > begun]
            later = {event.fields["account"] for event in made_later if event.fields["subject"] == asset[1]}
            assert later.intersection(e.fields["account"] for e in keeper.of(TX_MINED)), "others of its asset go on"
            await assert_invariants(arena, [proxy], [keeper])
