"""F3: killed after the bytes left, before that was noted. The next start finds them by their hash."""

import pytest

from keeper.model.intent import IntentState
from tests.support.deaths import Graveyard
from tests.support.invariants import journal_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
POINT = "sender.sent"


@pytest.mark.parametrize("mined", [True, False], ids=["mined meanwhile", "still in the pool"])
async def test_it_is_found_and_never_sent_as_another(yard: Graveyard, mined: bool) -> None:
    settings = await yard.kill(POINT)
    before = journal_of(settings)
    assert {intent.state for intent in before} == {IntentState.SIGNED}, "nothing was noted"
    if mined:
        await yard.arena.quiet()
    found = await yard.recover(settings, POINT)
    after = journal_of(settings)[: len(before)]
    assert [intent.state for intent in after] == [IntentState.MINED] * len(before)
    assert [intent.attempts for intent in after] == [intent.attempts for intent in before]
    assert (found.duplicates, found.lost, found.gaps) == (0, 0, 0)
