"""F2: killed after signing, before the bytes left. The next start sends the stored bytes, or cancels what is late."""

import pytest

from keeper.model.intent import IntentState
from tests.support.deaths import DEADLINE_BLOCKS, Death, Graveyard
from tests.support.invariants import journal_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
POINT = "journal.committed"


async def test_the_next_start_sends_the_stored_bytes_and_takes_no_new_nonce(yard: Graveyard) -> None:
    settings = await yard.kill(POINT)
    assert yard.proxy.sent == []
    [stored] = [attempt.raw for intent in journal_of(settings) for attempt in intent.attempts]
    found = await yard.recover(settings, POINT)
    assert yard.proxy.sent[0] == stored
    assert journal_of(settings)[0].state is IntentState.MINED
    assert found == Death(POINT, found.intents, found.intents, duplicates=0, lost=0, gaps=0)


async def test_what_is_past_its_deadline_is_cancelled_instead(yard: Graveyard) -> None:
    settings = await yard.kill(POINT)
    [stored] = [attempt.raw for intent in journal_of(settings) for attempt in intent.attempts]
    for _ in range(DEADLINE_BLOCKS + 1):
        await yard.arena.quiet()
    await yard.recover(settings, POINT)
    assert stored not in yard.proxy.sent
    first = journal_of(settings)[0]
    assert (first.nonce, first.state) == (0, IntentState.CANCELLED)
