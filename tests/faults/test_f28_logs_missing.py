"""F28: a node says that a block has no logs, and it has. An empty answer that the bloom speaks against is checked."""

from pathlib import Path

import pytest

from tests.support.proxy import answer, rpc_error
from tests.support.storm import storm


@pytest.mark.parametrize("who", [("lagging",), ("lagging", "good")], ids=["the only node", "one of two"])
async def test_an_empty_answer_is_checked_and_the_book_misses_nothing(tmp_path: Path, who: tuple[str, ...]) -> None:
    async with storm(tmp_path, who=who) as weather:
        weather.proxy.when("eth_getLogs", who="lagging").do(answer([]))
        before = len(weather.proxy.seen)
        await weather.play(6)
        asked = weather.asked("good" if len(who) > 1 else "lagging", before)
        assert ("eth_getLogs" if len(who) > 1 else "eth_getBlockReceipts") in asked
        await weather.settle()


async def test_two_nodes_that_say_the_same_wrong_thing_are_checked_against_the_receipts(tmp_path: Path) -> None:
    async with storm(tmp_path, who=("one", "two")) as weather:
        weather.proxy.when("eth_getLogs").do(answer([]))
        await weather.play(4)
        assert weather.proxy.calls("eth_getBlockReceipts")
        await weather.settle()


async def test_receipts_that_do_not_account_for_all_gas_prove_nothing(tmp_path: Path) -> None:
    async with storm(tmp_path) as weather:
        weather.proxy.when("eth_getLogs", nth=range(1, 3)).do(answer([]))
        weather.proxy.when("eth_getBlockReceipts").do(answer(lambda receipts: receipts[:1]))
        await weather.play(4)
        await weather.settle()


async def test_a_node_without_receipts_is_asked_the_same_again(tmp_path: Path) -> None:
    async with storm(tmp_path) as weather:
        weather.proxy.when("eth_getLogs", nth=range(1, 3)).do(answer([]))
        weather.proxy.when("eth_getBlockReceipts").do(rpc_error(-32601, "the method does not exist"))
        await weather.play(4)
        await weather.settle()
