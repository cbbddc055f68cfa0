"""F36: an endpoint answers after five seconds. A second one is asked before that, and nothing piles up."""

import asyncio
from pathlib import Path

from keeper.chain.pool import NodePool
from tests.support.anvil import Anvil
from tests.support.proxy import FaultProxy, Forward, Reply, Seen, delay
from tests.support.storm import storm

SLOW_S = 5.0
BLOCKS = 8


async def test_blocks_are_handled_by_the_other_endpoint_meanwhile(tmp_path: Path) -> None:
    async with storm(tmp_path, who=("slow", "quick"), request_timeout_s=30.0) as weather:
        weather.proxy.when(who="slow").do(delay(SLOW_S))
        before = len(weather.proxy.seen)
        await weather.play(BLOCKS)
        assert {"eth_getLogs", "eth_call"} <= weather.asked("quick", before)
        await weather.settle()


async def test_reads_of_a_node_that_hangs_do_not_pile_up(anvil: Anvil) -> None:
    under_way = most = 0

    async def held(call: Seen, forward: Forward) -> Reply:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            await asyncio.Event().wait()
        finally:
            under_way -= 1
        return Reply(await forward(call.message))

    async with FaultProxy(anvil.url) as proxy:
        pool = NodePool([proxy.url_of("hangs"), proxy.url_of("quick")], 31337, 60, lambda _: None)
        await pool.dial()
        proxy.when("eth_getBalance", who="hangs").do(held)
        account = "0x" + "11" * 20

        async def read() -> str:
            return await pool.request(str, "eth_getBalance", account, "latest")

        answers = await asyncio.gather(*(read() for _ in range(6)))
        answers += [await read() for _ in range(2)]
        assert set(answers) == {"0x0"}
        assert 0 < most <= 16
        assert len([call for call in proxy.calls("eth_getBalance") if call.who == "quick"]) == len(answers)
        await pool.close()
