"""F34: a node refuses wide ranges of logs, or many results. Ranges shrink to one block, and none is left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keeper.chain.connect import connect
from keeper.errors import Transient
from keeper.model.chain import LogFilter
from keeper.model.events import BOOK_SYNCED
from tests.support.anvil import Anvil
from tests.support.proxy import FaultProxy, rpc_error
from tests.support.storm import storm

TOO_MUCH = (
    rpc_error(-32005, "query returned more than 10000 results"),
    rpc_error(-32602, "eth_getLogs is limited to a 10,000 range"),
)


def wider_than(blocks: int) -> Callable[[Any], bool]:
    def condition(params: Any) -> bool:
        where = params[0]
        return "fromBlock" in where and int(where["toBlock"], 16) - int(where["fromBlock"], 16) >= blocks

    return condition


@pytest.mark.parametrize("words", TOO_MUCH, ids=["results", "range"])
@pytest.mark.parametrize("limit", [1, 7])
async def test_every_block_is_covered_once_whatever_the_limit(anvil: Anvil, limit: int, words: Any) -> None:
    anvil.mine(40)
    async with FaultProxy(anvil.url) as proxy, await connect([proxy.url], 31337, 5, lambda _: None) as chain:
        proxy.when("eth_getLogs", params=wider_than(limit)).do(words)
        pages = [page async for page in chain.reader.logs_between(0, 40, LogFilter((b"\x01" * 20,)))]
        served = [call.params[0] for call in proxy.calls("eth_getLogs") if not wider_than(limit)(call.params)]
        covered = [
            number for where in served for number in range(int(where["fromBlock"], 16), int(where["toBlock"], 16) + 1)
        ]
        assert covered == list(range(41))
        assert len(pages) == len(served)
        assert len(proxy.calls("eth_getLogs")) < 41 * 3


async def test_a_single_block_that_is_refused_ends_the_search(anvil: Anvil) -> None:
    async with FaultProxy(anvil.url) as proxy, await connect([proxy.url], 31337, 5, lambda _: None) as chain:
        proxy.when("eth_getLogs").do(TOO_MUCH[0])
        with pytest.raises(Transient, match="more than 10000 results"):
            await anext(aiter(chain.reader.logs_between(0, 0, LogFilter((b"\x01" * 20,)))))
        assert len(proxy.calls("eth_getLogs")) == 1


async def test_a_keeper_that_has_to_read_everything_again_comes_through(tmp_path: Path) -> None:
    async with storm(tmp_path, undo_blocks=4) as weather:
        weather.proxy.when("eth_getLogs", params=wider_than(3)).do(TOO_MUCH[0])
        weather.anvil.reorg(6)
        synced = len(weather.keeper.of(BOOK_SYNCED))
        await weather.play(1)
        assert len(weather.keeper.of(BOOK_SYNCED)) == synced + 1
        await weather.settle()
