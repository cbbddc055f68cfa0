"""F32: JSON cut short, an HTML page with status 200, a huge frame, null. Transient, and never taken for zero."""

from collections.abc import Callable
from pathlib import Path

import pytest

from keeper.model.events import NODE_DOWN
from tests.support.node_rules import oversize
from tests.support.proxy import Action, html, null, truncate
from tests.support.storm import storm

BROKEN: dict[str, Callable[[], Action]] = {"cut short": lambda: truncate(60), "a page": html, "null": null}
READS = ("eth_getBlockByNumber", "eth_getLogs", "eth_call", "eth_getBalance", "eth_getTransactionCount")


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("method", READS)
async def test_it_is_asked_again_and_nothing_is_taken_for_zero(tmp_path: Path, fault: str, method: str) -> None:
    async with storm(tmp_path) as weather:
        weather.proxy.when(method, nth=range(1, 4)).do(BROKEN[fault]())
        for _ in range(4):
            await weather.step()
        await weather.play(4)
        await weather.settle()


async def test_the_node_that_gives_such_answers_is_asked_last(tmp_path: Path) -> None:
    async with storm(tmp_path, who=("broken", "good")) as weather:
        weather.proxy.when(who="broken").do(html())
        await weather.play(3)
        assert any("broken" not in event.message for event in weather.keeper.of(NODE_DOWN))
        before = len(weather.proxy.seen)
        await weather.play(2)
        assert {"eth_getLogs", "eth_call"} <= weather.asked("good", before)
        assert not {"eth_getLogs", "eth_call"} <= weather.asked("broken", before)
        await weather.settle()


@pytest.mark.parametrize("pushed", [True, False], ids=["WebSocket", "HTTP"])
async def test_large_frames_are_read(tmp_path: Path, pushed: bool) -> None:
    async with storm(tmp_path, pushed=pushed) as weather:
        weather.proxy.when().do(oversize())
        await weather.play(2)
        await weather.settle()
