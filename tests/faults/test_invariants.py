"""The invariants themselves: they hold where nothing is wrong, and say so where something is."""

from dataclasses import replace
from pathlib import Path

import pytest

from keeper.model.events import NODE_DOWN, TX_MINED, Event
from keeper.model.intent import IntentState
from keeper.sim.arena import arena_node, running
from tests.support import harsh, invariants
from tests.support.proxy import FaultProxy

TOKEN = "a-token-in-the-url"


async def test_they_hold_in_a_crash_without_faults_and_catch_what_is_wrong(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=30, blocks=24, seed=3)
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url_of(TOKEN), live=True)
            async with running(settings) as keeper:
                for _ in range(20):
                    record = await arena.step()
                    await keeper.handled(record.number)
                assert keeper.of(TX_MINED)
                await invariants.assert_invariants(arena, [proxy], [keeper])
                await catches(arena, proxy, keeper)


async def catches(arena: harsh.EngineArena, proxy: FaultProxy, keeper: invariants.Running) -> None:
    """Each invariant fails on evidence that was spoilt."""
    settings = keeper.daemon.settings
    intents = invariants.journal_of(settings)
    mined = invariants.mined_by(arena.anvil, arena.keeper, arena.opened)
    with pytest.raises(AssertionError, match="more than once"):
        invariants.each_intent_mined_once(intents, [*mined, mined[-1]])
    with pytest.raises(AssertionError, match="not in the journal"):
        invariants.each_intent_mined_once(intents[:-1], mined)
    waiting = replace(intents[-1], state=IntentState.PENDING, nonce=1_000, deadline_block=1)
    with pytest.raises(AssertionError, match="belong to nobody"):
        invariants.no_old_gap([waiting], 999, 2)
    with pytest.raises(AssertionError, match="on the wire"):
        invariants.wire_is_in_journal(intents, [proxy.sent[0] + b"\0"])
    with pytest.raises(AssertionError, match="the cap is"):
        invariants.fees_within_bid(intents, 1)
    with pytest.raises(AssertionError, match="its bid is"):
        invariants.fees_within_bid([replace(intent, bid=1) for intent in intents], 10**18)
    with pytest.raises(AssertionError, match="a secret shows"):
        invariants.no_secret_shows(settings, [Event(NODE_DOWN, f"no answer from /{TOKEN}")])
    with pytest.raises(AssertionError, match="balance changed"):
        invariants.profit_is_balance_change(arena, intents[:-1], {})
    snapshot = keeper.daemon.decision.snapshot
    assert snapshot is not None
    await arena.quiet()
    with pytest.raises(AssertionError, match="the book stands at"):
        await invariants.book_is_fresh(arena, snapshot)
