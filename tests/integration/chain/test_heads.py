"""New heads from a real node: polled, pushed, and when the push breaks without a word."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from keeper.chain.connect import Chain
from keeper.chain.heads import Heads
from keeper.chain.pool import NodePool
from keeper.model.chain import BlockRef
from keeper.model.events import Event
from tests.integration.chain.conftest import Dial
from tests.support.anvil import Anvil
from tests.support.clock import SetClock
from tests.support.proxy import FaultProxy, Forward, Reply, Seen, repeat, silence, status

SOON_S = 20.0


async def next_head(heads: Heads) -> BlockRef:
    async with asyncio.timeout(SOON_S):
        return await anext(heads)


async def until(heads: Heads, number: int) -> BlockRef:
    while (block := await next_head(heads)).number < number:
        pass
    return block


async def happens(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def subscribed(chain: Chain) -> None:
    """The head is asked for at dial, at the start, and once the subscription stands."""
    await happens(lambda: chain.requests["eth_subscribe"] and chain.requests["eth_getBlockByNumber"] >= 3)


def codes(events: list[Event]) -> list[str]:
    return [event.kind.code for event in events]


async def test_polling_gives_each_new_head_once(anvil: Anvil, dial: Dial) -> None:
    chain = await dial(anvil.url)
    heads = chain.heads(0.01)
    assert (await next_head(heads)).number == 0
    for number in (1, 2, 3):
        anvil.mine()
        assert await next_head(heads) == await chain.reader.block_by_number(number)


async def test_a_slow_reader_gets_the_latest_head_only(anvil: Anvil, dial: Dial) -> None:
    chain = await dial(anvil.ws_url)
    heads = chain.heads(60)
    assert (await next_head(heads)).number == 0
    await subscribed(chain)
    for number in (1, 2, 3):
        anvil.mine()
        await happens(lambda number=number: heads._number == number)
    assert (await next_head(heads)).number == 3


async def test_pushed_heads_cost_no_requests(anvil: Anvil, dial: Dial, events: list[Event]) -> None:
    chain = await dial(anvil.ws_url)
    heads = chain.heads(60)
    await next_head(heads)
    await subscribed(chain)
    anvil.mine()
    pushed = await next_head(heads)
    before = chain.requests.copy()
    for number in (2, 3, 4):
        anvil.mine()
        assert (await next_head(heads)).number == number
    assert chain.requests == before
    assert pushed == await chain.reader.block_by_number(1)
    assert not events


async def test_heads_come_over_ipc(start_anvil: Callable[..., Anvil], dial: Dial, tmp_path: Any) -> None:
    node = start_anvil(ipc=tmp_path / "n.ipc")
    chain = await dial(str(node.options.ipc))
    heads = chain.heads(60)
    await next_head(heads)
    await subscribed(chain)
    node.mine()
    assert (await next_head(heads)).number == 1


async def test_a_dropped_subscription_is_replaced(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    chain = await dial(proxy.ws_url)
    heads = chain.heads(0.05)
    await next_head(heads)
    await happens(lambda: proxy.calls("eth_subscribe"))
    await proxy.drop_sockets()
    anvil.mine()
    assert (await until(heads, 1)).number == 1
    await happens(lambda: len(proxy.calls("eth_subscribe")) > 1)
    assert "node.down" in codes(events)


async def test_a_half_open_subscription_is_found_out_by_polling(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    chain = await dial(proxy.ws_url)
    proxy.when("eth_subscription").do(silence())
    heads = chain.heads(0.02)
    await next_head(heads)
    await happens(lambda: proxy.calls("eth_subscribe"))
    for number in (1, 2, 3):
        anvil.mine()
        assert (await until(heads, number)).number == number
    await happens(lambda: "node.down" in codes(events))
    assert "missed blocks" in events[0].message


async def test_a_subscription_that_repeats_itself_gives_each_head_once(
    anvil: Anvil, proxy: FaultProxy, dial: Dial
) -> None:
    chain = await dial(proxy.ws_url)
    proxy.when("eth_subscription").do(repeat(3))
    heads = chain.heads(60)
    await next_head(heads)
    await happens(lambda: proxy.calls("eth_subscribe"))
    found = []
    for _ in range(4):
        anvil.mine()
        found.append((await next_head(heads)).number)
    assert found == [1, 2, 3, 4]


async def test_a_notice_that_is_no_head_ends_the_subscription(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    async def garbage(call: Seen, forward: Forward) -> Reply:
        return Reply(call.message | {"params": {"subscription": "0x1", "result": {"number": None}}})

    chain = await dial(proxy.ws_url)
    proxy.when("eth_subscription", nth=1).do(garbage)
    heads = chain.heads(0.05)
    await next_head(heads)
    await happens(lambda: proxy.calls("eth_subscribe"))
    anvil.mine()
    assert (await until(heads, 1)).number == 1
    await happens(lambda: len(proxy.calls("eth_subscribe")) > 1)
    assert "node.down" in codes(events)


async def test_heads_go_on_when_every_node_was_away(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    chain = await dial(proxy.url)
    heads = chain.heads(0.02)
    await next_head(heads)
    await proxy.down()
    anvil.mine()
    await happens(lambda: codes(events) == ["node.down", "chain.unready"])
    await proxy.up()
    assert (await next_head(heads)).number == 1
    assert codes(events) == ["node.down", "chain.unready", "chain.ready"]
    assert chain.problem == ""


async def test_a_chain_that_stands_still_is_reported_once(anvil: Anvil, events: list[Event]) -> None:
    clock = SetClock()
    pool = NodePool([anvil.url], 31337, 5, events.append, clock)
    heads = Heads(pool, [], 0.01, 5, events.append, clock)
    await next_head(heads)
    clock.time += 31
    await happens(lambda: codes(events) == ["head.stalled"])
    polls = pool.requests["eth_getBlockByNumber"]
    await happens(lambda: pool.requests["eth_getBlockByNumber"] > polls + 3)
    assert codes(events) == ["head.stalled"]
    anvil.mine()
    await next_head(heads)
    clock.time += 31
    await happens(lambda: codes(events) == ["head.stalled"] * 2)
    await heads.close()
    await pool.close()


async def test_closing_ends_the_loop_and_every_task(anvil: Anvil, dial: Dial) -> None:
    before = asyncio.all_tasks()
    chain = await dial(anvil.ws_url)
    heads = chain.heads(0.01)
    seen = []

    async def follow() -> None:
        async for block in heads:
            seen.append(block.number)  # noqa: PERF401

    following = asyncio.create_task(follow())
    await happens(lambda: seen and chain.requests["eth_subscribe"])
    await chain.close()
    await asyncio.wait_for(following, SOON_S)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("code", [403, 500])
async def test_a_subscription_that_is_refused_leaves_polling(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, code: int
) -> None:
    proxy.when("eth_subscribe").do(status(code, b'{"jsonrpc":"2.0","id":1,"result":null}'))
    chain = await dial(proxy.ws_url, timeout_s=0.5)
    heads = chain.heads(0.02)
    await next_head(heads)
    anvil.mine()
    assert (await next_head(heads)).number == 1
