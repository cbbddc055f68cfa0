"""A bulk read answered as of another block's time is not taken: from a node between two blocks, or the wrong node."""

import pytest

from keeper.chain import multicall
from keeper.chain.connect import connect
from keeper.errors import Transient
from keeper.model.chain import hexed
from keeper.sim.node.anvil import Anvil
from tests.support.proxy import FaultProxy, Forward, Reply, Seen


async def later(call: Seen, forward: Forward) -> Reply:
    """The node's answer as of twelve seconds later."""
    params = [*call.message["params"], {"time": hex(2_000_000_000)}]
    return Reply(await forward({**call.message, "params": params}))


def reads(params: list[object]) -> bool:
    return isinstance(params[0], dict) and params[0].get("to") == hexed(multicall.READER)


async def test_an_answer_as_of_another_time_is_asked_for_again(anvil: Anvil) -> None:
    anvil.mine(3)
    async with FaultProxy(anvil.url) as proxy, await connect([proxy.url], 31337, 5, lambda _: None) as chain:
        proxy.when("eth_call", params=reads, nth=1).do(later)
        block = await chain.reader.head()
        [result] = await chain.reader.read(block, [multicall.clock()])
        assert int.from_bytes(result.data, "big") == block.timestamp


async def test_a_node_that_always_answers_as_of_another_time_is_not_believed(anvil: Anvil) -> None:
    anvil.mine(3)
    async with FaultProxy(anvil.url) as proxy, await connect([proxy.url], 31337, 5, lambda _: None) as chain:
        proxy.when("eth_call", params=reads).do(later)
        with pytest.raises(Transient, match="another block"):
            await chain.reader.read(await chain.reader.head(), [multicall.clock()])
