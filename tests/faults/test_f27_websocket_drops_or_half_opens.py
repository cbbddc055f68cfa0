"""F27: a WebSocket that breaks, or stays open without a word. The head's own watchdog sees it, not a ping."""

from pathlib import Path

from keeper.model.events import NODE_DOWN
from tests.support.node_rules import drop_ws, half_open_ws
from tests.support.storm import storm


async def test_a_line_that_breaks_is_made_again_and_no_change_is_missed(tmp_path: Path) -> None:
    async with storm(tmp_path, pushed=True) as weather:
        weather.proxy.when("eth_subscription", nth=2).do(drop_ws())
        subscribed = len(weather.proxy.calls("eth_subscribe"))
        await weather.play(6)
        await weather.keeper.until(lambda: len(weather.proxy.calls("eth_subscribe")) > subscribed)
        assert weather.keeper.of(NODE_DOWN)
        await weather.settle()


async def test_a_line_without_a_word_is_replaced_at_another_node(tmp_path: Path) -> None:
    async with storm(tmp_path, who=("first", "second"), pushed=True) as weather:
        subscribed = {call.who for call in weather.proxy.calls("eth_subscribe")}
        assert subscribed == {"first"}
        weather.proxy.when("eth_subscription", who="first").do(half_open_ws())
        await weather.play(6)  # by looks at the head meanwhile
        await weather.keeper.until(
            lambda: any("missed blocks" in event.message for event in weather.keeper.of(NODE_DOWN))
        )
        while "eth_subscribe" not in weather.asked("second"):
            await weather.play(1)
        await weather.play(2)
        await weather.settle()
