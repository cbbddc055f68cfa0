"""A keeper killed at each named point of the send path, and started again: nothing twice, nothing lost, no gap.

`make crash N=50` kills it fifty times at each and prints a table; a test run is content with `CRASH_N` = 2.
"""

import os
from random import Random

import pytest

from keeper.execute.tx.crash_points import CrashPoint
from tests.support.crashing import LAUNCH, POINTS
from tests.support.deaths import Death, Graveyard

TIMES = int(os.environ.get("CRASH_N", "2"))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("point", POINTS)
async def test_nothing_is_sent_twice_and_nothing_lost(yard: Graveyard, point: str) -> None:
    chance = Random(point)
    for _ in range(TIMES):
        nth = chance.randint(1, 2) if point in LAUNCH else 1
        found = await yard.die(point, nth)
        assert found.intents > 0
        assert found == Death(point, found.intents, found.mined, duplicates=0, lost=0, gaps=0)


def test_the_points_are_all_there_is() -> None:
    """A new hook in the send path needs a death of its own."""
    assert set(POINTS) == set(CrashPoint)
