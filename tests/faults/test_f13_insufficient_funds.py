"""F13: the balance does not cover the gas. Refused before signing, told once, taken up after a refill."""

from pathlib import Path

from keeper.abi import checksum
from keeper.model.events import FUNDS_LOW
from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from tests.support.node_rules import fields
from tests.support.storm import Storm, storm


async def test_a_plan_that_cannot_be_paid_is_refused_before_signing_and_sent_after_a_refill(sea):
    whole = sea.world.anvil.balance(sea.world.keeper)
    sea.world.anvil.set_balance(sea.world.keeper, 1000)
    for _ in range(3):
        [refused] = await sea.submit(await sea.world.plan(0))
        assert refused.reason is Rejection.INSUFFICIENT_FUNDS
        assert (refused.shortage.token, refused.shortage.balance) == (b"", 1000)
        await sea.mine()
    assert sea.world.intents() == []
    assert sea.proxy.sent == []
    sea.world.anvil.set_balance(sea.world.keeper, whole)
    assert await sea.submit(await sea.world.plan(0)) == []
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]


async def test_what_is_on_its_way_is_counted_against_the_balance(sea):
    plan = await sea.world.plan(0)
    one = plan.opportunity.gas_limit * plan.max_fee
    taken = sea.world.anvil.balance(sea.world.keeper) - one * 3 // 2
    sea.world.anvil.set_balance(sea.world.keeper, one * 3 // 2)
    [refused] = await sea.submit(plan, await sea.world.plan(1))
    assert (refused.account, refused.reason) == (sea.world.victims[1], Rejection.INSUFFICIENT_FUNDS)
    await sea.settle(granted_wei=-taken)
    assert sea.states() == [(0, IntentState.MINED)]


async def test_the_daemon_says_so_once_and_goes_on_by_itself_after_a_refill(tmp_path: Path) -> None:
    async with storm(tmp_path, check_capital=False) as weather:  # the coins that go here have no booked reason
        taken = weather.anvil.balance(weather.arena.keeper) - 10**9
        weather.anvil.set_balance(weather.arena.keeper, 10**9)
        sent, nonce = len(weather.proxy.sent), next_nonce(weather)
        while not weather.keeper.of(FUNDS_LOW):
            await weather.play(1)
        await weather.play(2)
        [low] = weather.keeper.of(FUNDS_LOW)
        assert (low.fields["holder"], low.fields["token"]) == (checksum(weather.arena.keeper), "native")
        assert int(low.fields["balance"]) < int(low.fields["needed"])
        assert low.message.endswith("fund the signer")
        assert all(fields(raw)[1] < nonce for raw in weather.proxy.sent[sent:]), "what is on its way is still followed"
        weather.anvil.set_balance(weather.arena.keeper, weather.anvil.balance(weather.arena.keeper) + taken)
        while next_nonce(weather) == nonce:
            await weather.play(1)
        await weather.settle()


def next_nonce(weather: Storm) -> int:
    """What comes after everything that the keeper has signed."""
    return max(fields(raw)[1] for raw in weather.proxy.sent) + 1
