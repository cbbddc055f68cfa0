"""F24: a reorg of 1 to k blocks. The book goes back by its undo ring; what was mined is followed and sent again."""

from pathlib import Path

import pytest

from keeper.model.events import HEAD_REORG, TX_MINED, TX_REORGED
from tests.support.storm import Storm, storm


@pytest.mark.parametrize("pushed", [True, False], ids=["pushed", "polled"])
@pytest.mark.parametrize("depth", [1, 3, 8])
async def test_the_book_follows_and_what_was_mined_is_sent_again(tmp_path: Path, depth: int, pushed: bool) -> None:
    async with storm(tmp_path, pushed=pushed) as weather:
        while not mined_lately(weather, depth):
            await weather.play(1)
        sent = len(weather.proxy.sent)
        weather.anvil.reorg(depth)
        await weather.play(4)
        assert weather.keeper.of(HEAD_REORG)[0].fields["depth"] >= depth
        assert weather.keeper.of(TX_REORGED)
        assert set(weather.proxy.sent[sent:]) & set(weather.proxy.sent[:sent]), "the same bytes, again"
        await weather.settle()


def mined_lately(weather: Storm, depth: int) -> bool:
    """Something of ours is in the blocks that go."""
    head = weather.anvil.block_number()
    return any((event.block or 0) > head - depth for event in weather.keeper.of(TX_MINED))


@pytest.mark.parametrize("depth", [2, 5])
async def test_transactions_that_nodes_put_back_are_not_sent_a_second_time_under_another_nonce(
    tmp_path: Path, depth: int
) -> None:
    async with storm(tmp_path) as weather:
        while not mined_lately(weather, depth):
            await weather.play(1)
        weather.anvil.reorg(depth)
        assert await weather.proxy.reinject()
        await weather.play(4)
        assert weather.keeper.of(HEAD_REORG)
        await weather.settle()
