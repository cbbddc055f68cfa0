"""F54: a rival wins five accounts in one block: the keeper loses the gas and goes on, whatever the breakers count."""

from decimal import Decimal
from pathlib import Path

import pytest

from keeper.execute.breakers.breakers import BreakerLimits
from keeper.model.chain import unhexed
from keeper.model.events import BREAKER_OPEN, TX_MINED, TX_REVERTED
from keeper.model.health import WAD
from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from keeper.protocols.base import RevertAction
from keeper.sim.arena import arena_node, running
from tests.faults.conftest import Sea
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy
from tests.support.weather import before_others, give_tokens, step_until
from tests.support.world import TOKENS

ROUNDS = 5


async def lose(sea: Sea, victim: int) -> None:
    """A rival takes an account in the block in which the keeper's transaction for it is mined."""
    assert await sea.submit(await sea.world.plan(victim, 900 * TOKENS)) == []
    sea.world.outbid(sea.world.victims[victim], "transfer", sea.world.token, 200 * TOKENS)
    await sea.mine()


async def storm(sea: Sea) -> None:
    """Each account is lost in turn; between rounds the rival gives back what it took."""
    for turn in range(ROUNDS):
        victim = turn % len(sea.world.victims)
        await lose(sea, victim)
        sea.world.transact(sea.world.victims[victim], "mint", sea.world.victims[victim], 200 * TOKENS)
        await sea.mine(sea.world.policy.cooldown_blocks)


@pytest.mark.parametrize("action", [RevertAction.SKIP, RevertAction.RETRY])
async def test_a_storm_of_lost_races_does_not_stop_sending(sea: Sea, action: RevertAction) -> None:
    sea.world.protocol.action = action
    await storm(sea)
    assert [state for _, state in sea.states()] == [IntentState.REVERTED] * ROUNDS
    assert sea.world.codes("breaker.") == []
    assert await sea.submit(await sea.world.plan(2)) == []
    await sea.settle()


async def test_reverts_of_our_own_stop_sending(sea: Sea) -> None:
    sea.world.protocol.action = RevertAction.BUG
    for victim in range(3):
        await lose(sea, victim)
    assert sea.world.event("breaker.open").fields["breaker"] == "reverts"


async def test_the_gas_of_lost_races_counts_for_the_limits(sea: Sea) -> None:
    await sea.world.stop(sea.executor)
    limits = BreakerLimits(3, 50, max_gas_wad=int(Decimal("0.01") * WAD))
    sea.executor = await sea.world.executor(limits=limits)
    await lose(sea, 0)
    assert sea.world.event("breaker.open").fields["breaker"] == "gas"
    [refused] = await sea.submit(await sea.world.plan(1))
    assert refused.reason is Rejection.HOLD


def outrun(arena: harsh.EngineArena) -> int:
    """A rival copies what the keeper has in the pool, and goes before it. How many transactions that were."""
    pending = arena.anvil.rpc("txpool_content")["pending"]
    pool = next((found for sender, found in pending.items() if unhexed(sender) == arena.keeper), {})
    for tx in pool.values():
        before_others(arena, unhexed(tx["to"]), unhexed(tx["input"]))
    return len(pool)


async def test_f54_a_rival_wins_five_accounts_in_one_block_and_the_daemon_goes_on(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=90, blocks=30)
        give_tokens(arena, "USDC", 0)  # for seizures, in which the rival would need capital as well
        settings = {"live": True, "max_reverts": 3, "breaker_reset_blocks": 1000}
        async with FaultProxy(anvil.url) as proxy, running(arena.settings(proxy.url, **settings)) as keeper:
            await step_until(arena, keeper, lambda: keeper.execution.in_flight().count >= 8)
            assert outrun(arena) >= 8
            number = (await arena.quiet()).number
            await keeper.handled(number)
            await keeper.until(lambda: len([e for e in keeper.of(TX_REVERTED) if e.block == number]) >= 5)
            won = len(keeper.of(TX_MINED))
            await step_until(arena, keeper, lambda: len(keeper.of(TX_MINED)) >= won + 5)
            assert keeper.of(BREAKER_OPEN) == []
            await assert_invariants(arena, [proxy], [keeper])
