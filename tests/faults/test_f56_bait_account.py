"""F56: one account that always fails costs others of its asset nothing."""

from keeper.protocols.base import RevertAction
from tests.faults.conftest import Sea
from tests.support.world import TOKENS

TOO_MUCH = 5000 * TOKENS


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
