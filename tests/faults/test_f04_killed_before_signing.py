"""F4: killed after a nonce was reserved, before anything was signed. The nonce is free at the next start; no gap."""

import pytest

from keeper.model.intent import IntentState
from tests.support.deaths import Graveyard
from tests.support.invariants import journal_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("point", ["journal.reserved", "signer.signed"])
async def test_the_nonce_is_freed_and_used_by_the_next(yard: Graveyard, point: str) -> None:
    settings = await yard.kill(point)
    assert [(intent.nonce, intent.attempts) for intent in journal_of(settings)] == [(0, ())]
    found = await yard.recover(settings, point)
    intents = journal_of(settings)
    assert (intents[0].nonce, intents[0].state) == (0, IntentState.DROPPED)
    assert (intents[1].nonce, intents[1].state) == (0, IntentState.MINED)
    assert (found.duplicates, found.lost, found.gaps) == (0, 0, 0)
