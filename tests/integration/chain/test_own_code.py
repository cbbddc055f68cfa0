"""Calls that bring the code that answers them: a Uniswap pool and its ticks in one bulk read."""

from collections.abc import Callable

import pytest

from keeper.defi import uniswap_reads
from keeper.defi.proxies import stored_address
from keeper.defi.tick_math import Q96, sqrt_price_at_tick
from keeper.model.chain import Call, CallResult
from tests.integration.chain.conftest import Dial
from tests.support.anvil import Anvil
from tests.support.proxy import FaultProxy, rpc_error
from tests.support.uniswap import Pools

GUZZLER = bytes.fromhex("5b600056")  # burns all gas
POSITIONS = [(-120, 60, 10**18), (-887_220, 887_220, 10**15), (600, 1_200, 10**17)]


async def test_a_pool_is_read_with_the_ticks_around_its_price(start_anvil: Callable[..., Anvil], dial: Dial) -> None:
    anvil = start_anvil(gas_limit=30_000_000)
    pools = Pools.on(anvil)
    pool = pools.create(3_000, Q96)
    pools.node.send(*(pools.uniswap.mint(pool.address, *position) for position in POSITIONS))
    guzzler = Call(b"\xc3" * 20, b"")
    anvil.set_code(guzzler.to, GUZZLER)
    anvil.mine()
    reader = (await dial(anvil.url)).reader
    block = await reader.head()
    found = await reader.read(
        block,
        [
            guzzler,
            uniswap_reads.around(pool.address, 700),
            uniswap_reads.around(b"\x99" * 20, 700),
            uniswap_reads.find(pools.uniswap.factory, pool.token1, pool.token0, 3_000),
            uniswap_reads.find(pools.uniswap.factory, pool.token1, pool.token0, 500),
        ],
    )
    burnt, around, nowhere, known, unknown = found
    assert not burnt.ok
    state = uniswap_reads.state_of(pool, around)
    assert state is not None
    assert (state.sqrt_price, state.tick, state.liquidity) == (sqrt_price_at_tick(0), 0, 10**18 + 10**15)
    assert (state.ticks, state.nets) == ((-120, 60, 600), (10**18, -(10**18), 10**17))
    assert state.known == (-700, 700)
    assert uniswap_reads.state_of(pool, nowhere) is None
    assert stored_address(known) == pool.address
    assert stored_address(unknown) == b""


async def test_a_node_without_overrides_knows_no_ticks_but_the_rest(
    anvil: Anvil, proxy: FaultProxy, dial: Dial
) -> None:
    pools = Pools.on(anvil)
    pool = pools.create(500, Q96)
    refusal = rpc_error(-32602, "too many arguments, want at most 2")
    proxy.when("eth_call", params=lambda params: len(params) > 2).do(refusal)
    reader = (await dial(proxy.url)).reader
    calls = [uniswap_reads.around(pool.address, 700), *uniswap_reads.describe(pool.address)]
    around, *described = await reader.read(await reader.head(), calls)
    assert uniswap_reads.state_of(pool, around) is None
    assert uniswap_reads.described(pool.address, described) == pool


@pytest.mark.parametrize("data", [b"", b"\x01", bytes(32), b"\xff" * 256, bytes(256)])
def test_an_answer_that_is_none_is_no_pool(data: bytes) -> None:
    pool = uniswap_reads.Pool(b"\x01" * 20, b"\x02" * 20, b"\x03" * 20, 500, 10)
    assert uniswap_reads.state_of(pool, CallResult(True, data)) is None
    assert uniswap_reads.described(pool.address, [CallResult(True, data)] * 4) is None
