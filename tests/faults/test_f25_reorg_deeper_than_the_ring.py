"""F25: a reorg deeper than the undo ring. Everything is read again before anything new is planned; a person is told."""

from pathlib import Path

from keeper.model.events import BOOK_SYNCED, HEAD_DEEP_REORG, PLAN_MADE, Level
from tests.support.storm import storm

RING = 6
DEPTH = 9


async def test_all_is_read_again_and_nothing_is_planned_meanwhile(tmp_path: Path) -> None:
    async with storm(tmp_path, undo_blocks=RING, begun=False) as weather:
        await weather.play(8)
        synced = len(weather.keeper.of(BOOK_SYNCED))
        weather.anvil.reorg(DEPTH)
        await weather.play(1)
        [told] = weather.keeper.of(HEAD_DEEP_REORG)
        assert told.kind.level is Level.ERROR
        assert told.fields["depth"] > RING
        assert len(weather.keeper.of(BOOK_SYNCED)) == synced + 1
        place = weather.keeper.events.index(told)
        before = [event for event in weather.keeper.events[:place] if event.kind is PLAN_MADE]
        assert all((event.block or 0) < told.block for event in before)
        await weather.play(16)
        await weather.settle()
