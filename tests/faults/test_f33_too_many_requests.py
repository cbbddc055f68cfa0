"""F33: HTTP 429 with Retry-After, or -32005. Half as much is asked, the wait is kept, and sends still leave."""

import asyncio
from pathlib import Path

import pytest

from keeper.chain.concurrency import MOST_AT_ONCE, Shed
from keeper.chain.endpoint import Endpoint
from keeper.chain.pool import NodePool, PoolPolicy
from keeper.chain.sender import NodeSender
from keeper.model.intent import SendStatus
from tests.support.anvil import Anvil
from tests.support.clock import SetClock
from tests.support.proxy import Action, FaultProxy, rpc_error, status
from tests.support.storm import storm

THROTTLES: dict[str, Action] = {
    "status 429": status(429, Retry_After="2"),
    "error -32005": rpc_error(-32005, "daily request count exceeded, request rate limited"),
}


@pytest.mark.parametrize("throttle", THROTTLES)
async def test_the_keeper_asks_less_and_comes_through(tmp_path: Path, throttle: str) -> None:
    async with storm(tmp_path, poll_interval_s=0.2) as weather:
        weather.proxy.when(nth=range(1, 3)).do(THROTTLES[throttle])
        await weather.play(2)
        await weather.settle()


@pytest.mark.parametrize("throttle", THROTTLES)
async def test_while_it_is_asked_to_wait_nothing_is_read_and_sends_still_leave(anvil: Anvil, throttle: str) -> None:
    clock = SetClock()
    async with FaultProxy(anvil.url) as proxy:
        pool = NodePool([proxy.url], 31337, 0.4, lambda _: None, clock, PoolPolicy(jitter=lambda: 1.0))
        await pool.dial()
        node = pool.endpoints[0]
        proxy.when("eth_blockNumber").do(THROTTLES[throttle])
        await refused(node)
        assert node.concurrency.limit == MOST_AT_ONCE // 2
        assert node.concurrency.wait_s == (2.5 if "429" in throttle else 0.625)
        before = len(proxy.seen)
        with pytest.raises(Shed, match="asked to wait"):
            await node.request(str, "eth_chainId")
        assert len(proxy.seen) == before
        result = await NodeSender(pool).send_raw(b"\x01")
        assert result.status is SendStatus.REFUSED, "the node looked at it"
        assert proxy.calls("eth_sendRawTransaction")
        proxy.clear()
        clock.time += 3
        assert await node.request(str, "eth_blockNumber") == "0x0"
        await pool.close()


async def refused(node: Endpoint) -> None:
    with pytest.raises(Exception, match=r"429|rate limited"):
        await node.request(str, "eth_blockNumber")


async def test_sends_do_not_stand_in_line_behind_reads(anvil: Anvil) -> None:
    async with FaultProxy(anvil.url) as proxy:
        pool = NodePool([proxy.url], 31337, 5, lambda _: None)
        await pool.dial()
        go_on = asyncio.Event()
        proxy.when("eth_getBalance").do(held_until(go_on))
        node = pool.endpoints[0]
        account = "0x" + "11" * 20
        reads = [asyncio.create_task(node.request(str, "eth_getBalance", account, "latest")) for _ in range(40)]
        while len(proxy.calls("eth_getBalance")) < MOST_AT_ONCE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await NodeSender(pool).send_raw(b"\x01")
        assert len(proxy.calls("eth_sendRawTransaction")) == 1
        assert len(proxy.calls("eth_getBalance")) == MOST_AT_ONCE
        go_on.set()
        await asyncio.gather(*reads)
        await pool.close()


def held_until(go_on: asyncio.Event) -> Action:
    from tests.support.proxy import Forward, Reply, Seen

    async def action(call: Seen, forward: Forward) -> Reply:
        await go_on.wait()
        return Reply(await forward(call.message))

    return action
