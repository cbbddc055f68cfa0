"""F54: a rival wins five accounts in one block: the keeper loses the gas and goes on, whatever the breakers count."""

from decimal import Decimal

import pytest

from keeper.execute.breakers.breakers import BreakerLimits
from keeper.model.health import WAD
from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from keeper.protocols.base import RevertAction
from tests.faults.conftest import Sea
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
