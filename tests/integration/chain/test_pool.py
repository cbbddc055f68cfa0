"""Several nodes: who is asked, what it costs, and what is said about it."""

import asyncio

import pytest

from keeper.chain.concurrency import Shed
from keeper.chain.node_state import NodeState
from keeper.chain.pool import NodePool
from keeper.errors import Transient
from keeper.model.chain import Call, LogFilter
from keeper.model.events import Event
from tests.integration.chain.conftest import Dial
from tests.integration.chain.test_heads import SetClock, happens, next_head, subscribed
from tests.support.anvil import Anvil
from tests.support.proxy import FaultProxy, Forward, Reply, Seen, answer, null, rpc_error, silence, status


async def test_a_block_costs_two_requests_beside_its_head(anvil: Anvil, dial: Dial) -> None:
    chain = await dial(anvil.ws_url)
    heads = chain.heads(60)
    await next_head(heads)
    await subscribed(chain)
    calls = [Call(bytes([number]) * 20, b"") for number in range(1, 200)]
    before = chain.requests.copy()
    for _ in range(3):
        anvil.mine()
        block = await next_head(heads)
        await chain.reader.logs_at(block, LogFilter((b"\x01" * 20,)))
        await chain.reader.read(block, calls)
    assert chain.requests - before == {"eth_getLogs": 3, "eth_call": 3}


async def test_the_preferred_node_is_asked_again_after_a_pause(
    proxy: FaultProxy, anvil: Anvil, events: list[Event]
) -> None:
    clock = SetClock()
    pool = NodePool([proxy.url_of("first"), proxy.url_of("second")], 31337, 5, events.append, clock)
    await pool.dial()
    proxy.when(who="first").do(status(502))
    asked = []
    for seconds in (0, 0.1, 6, 6):
        clock.time += seconds
        proxy.seen.clear()
        await pool.request(str, "eth_blockNumber")
        asked.append([call.who for call in proxy.seen])
    assert asked == [["first", "second"], ["second"], ["first", "second"], ["first", "second"]]
    assert [event.kind.code for event in events] == ["node.down"]
    proxy.clear()
    clock.time += 6
    await pool.request(str, "eth_blockNumber")
    await happens(lambda: pool.in_order()[0] is pool.endpoints[0])
    await pool.close()


async def test_a_node_that_lags_is_not_a_node_that_is_down(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    reader = (await dial(proxy.url_of("lagging"), proxy.url_of("good"))).reader
    anvil.mine()
    proxy.when("eth_getBlockByNumber", who="lagging").do(null())
    proxy.when("eth_getBalance", who="lagging").do(rpc_error(-32000, "header not found"))
    block = await reader.block_by_number(1)
    assert await reader.balance(b"\x01" * 20, block) == 0
    assert not events


async def test_an_answer_that_cannot_be_read_is_asked_of_the_next_node(proxy: FaultProxy, dial: Dial) -> None:
    reader = (await dial(proxy.url_of("bad"), proxy.url_of("good"))).reader
    proxy.when("eth_getBalance", who="bad").do(answer("0xnonsense"))
    assert await reader.balance(b"\x01" * 20) == 0


async def test_a_node_that_turns_up_late_is_asked_who_it_is(proxy: FaultProxy, events: list[Event]) -> None:
    proxy.when("eth_chainId", who="late", nth=1).do(status(502))
    proxy.when("eth_chainId", who="late", nth=2).do(answer("0x1"))
    clock = SetClock()
    pool = NodePool([proxy.url_of("late"), proxy.url_of("good")], 31337, 5, events.append, clock)
    await pool.dial()
    clock.time += 1
    late, good = pool.endpoints
    with pytest.raises(Transient, match="serves chain 1"):
        await pool.ask(late, lambda node: node.request(str, "eth_blockNumber"))
    await pool.request(str, "eth_blockNumber")
    assert (late.health.state, good.health.state) == (NodeState.WRONG_CHAIN, NodeState.ALIVE)
    await pool.close()
    assert [event.kind.code for event in events] == ["node.down"] * 2
    assert "serves chain 1, KEEPER_CHAIN_ID is 31337" in events[1].message
    assert not [call for call in proxy.calls("eth_blockNumber") if call.who == "late"]


async def test_only_so_many_requests_are_under_way_at_once(proxy: FaultProxy, dial: Dial) -> None:
    under_way: list[int] = [0]
    most = 0

    async def watched(call: Seen, forward: Forward) -> Reply:
        nonlocal most
        under_way[0] += 1
        most = max(most, under_way[0])
        await asyncio.sleep(0.01)
        under_way[0] -= 1
        return Reply(await forward(call.message))

    reader = (await dial(proxy.url)).reader
    proxy.when("eth_getBalance").do(watched)
    await asyncio.gather(*(reader.balance(bytes([number]) * 20) for number in range(60)))
    assert most <= 16


async def test_a_nodes_words_are_passed_on_without_the_urls_key(proxy: FaultProxy, dial: Dial) -> None:
    key = "0123456789abcdef"
    chain = await dial(proxy.url_of(f"v3/{key}"))
    proxy.when("eth_sendRawTransaction").do(rpc_error(-32000, f"project {key} may not send to {proxy.url}/v3/{key}"))
    result = await chain.sender.send_raw(b"\x01")
    assert key not in result.message
    assert "may not send" in result.message


async def test_a_websocket_that_fell_silent_is_replaced(proxy: FaultProxy, dial: Dial) -> None:
    chain = await dial(proxy.ws_url, timeout_s=0.3)
    proxy.when("eth_getBalance", nth=1).do(silence())
    with pytest.raises(Transient, match="no answer"):
        await chain.reader.balance(b"\x01" * 20)
    assert await chain.reader.balance(b"\x01" * 20) == 0
    assert proxy.sockets_opened == 2


async def test_a_node_that_asks_to_wait_is_not_asked_for_smaller_ranges(proxy: FaultProxy, dial: Dial) -> None:
    chain = await dial(proxy.url)
    proxy.when("eth_getLogs").do(status(429, Retry_After="30"))
    with pytest.raises(Shed, match=r"asked to wait 3\d"):
        await anext(aiter(chain.reader.logs_between(0, 100, LogFilter((b"\x01" * 20,)))))
    assert len(proxy.calls("eth_getLogs")) == 1
