"""F31: answers with a wrong id, in another order, or several with one id. They are matched by id, never by place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from keeper.chain.connect import connect
from keeper.errors import Transient
from keeper.model.chain import LogFilter
from tests.support.anvil import Anvil
from tests.support.node_rules import reorder_batch, same_id
from tests.support.proxy import Action, FaultProxy, wrong_id
from tests.support.storm import storm

METHODS = ("eth_getBlockByNumber", "eth_getLogs", "eth_call", "eth_getTransactionReceipt")


@pytest.mark.parametrize("pushed", [True, False], ids=["WebSocket", "HTTP"])
@pytest.mark.parametrize("method", METHODS)
async def test_an_answer_with_another_id_is_no_answer(tmp_path: Path, method: str, pushed: bool) -> None:
    async with storm(tmp_path, pushed=pushed, request_timeout_s=0.5) as weather:
        weather.proxy.when(method, nth=range(2, 5)).do(wrong_id())
        for _ in range(5):
            await weather.step()
        await weather.play(4)
        await weather.settle()


async def batch_of(anvil: Anvil, rule: Callable[[], Action]) -> list[object]:
    """Pages of logs through a rule: each is a batch of two requests with answers of different shapes."""
    async with FaultProxy(anvil.url) as proxy, await connect([proxy.url], 31337, 5, lambda _: None) as chain:
        proxy.when().do(rule())
        return [page async for page in chain.reader.logs_between(0, 0, LogFilter((b"\x01" * 20,)))]


async def test_a_batch_in_another_order_is_put_in_order(anvil: Anvil) -> None:
    assert await batch_of(anvil, reorder_batch) == [[]]


async def test_a_batch_in_which_an_id_comes_twice_is_refused_as_a_whole(anvil: Anvil) -> None:
    with pytest.raises(Transient, match="ids are not those of the request"):
        await batch_of(anvil, same_id)
