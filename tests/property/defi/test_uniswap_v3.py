"""The real pools are the referee: swaps, ticks and mean prices computed here are theirs, to the unit."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from keeper.defi.fixed_point import Rounding
from keeper.defi.swap_math import amounts_for_liquidity
from keeper.defi.tick_math import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from keeper.defi.uniswap_oracle import Ring, tick_cumulative
from keeper.defi.uniswap_v3 import Pool, PoolState, Swapped, swap_exact_in, swap_exact_out
from keeper.errors import Refused
from keeper.sim.markets.uniswap import TICK_SPACINGS
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import TxBatch, calldata, forged
from keeper.sim.node.client import Tx
from tests.support.uniswap import GAS, POOL, Pools, Traded, logs_of

POOLS = int(os.environ.get("UNISWAP_POOLS", "40"))
TICKS = int(os.environ.get("UNISWAP_TICKS", "5000"))
MOST_SWAPS = 12
_AT_ONCE = 5_000
RULES = settings(
    max_examples=POOLS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    database=None,
)
SIZE = st.floats(0, 38).map(lambda exponent: int(10**exponent))
SWAP = st.tuples(
    st.booleans(),  # zero for one
    st.booleans(),  # exact input
    SIZE,
    st.none() | st.integers(1, 3_000) | st.integers(1, 200_000),  # ticks to the price limit
    st.integers(1, 100) | st.integers(1, 40_000),  # seconds to the block
)
RANGE = st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 36))  # from, to, magnitude of the liquidity


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    with Anvil(mining=False, gas_limit=4 * GAS) as anvil:
        yield Pools.on(anvil)


@RULES
@given(
    st.sampled_from(sorted(TICK_SPACINGS)),
    st.integers(MIN_TICK + 1, MAX_TICK - 1) | st.integers(-80_000, 80_000),
    st.booleans(),
    st.lists(RANGE, min_size=1, max_size=8),
    st.lists(SWAP, min_size=1, max_size=MOST_SWAPS),
    st.integers(1, 12),
)
def test_swaps_come_out_as_the_pool_makes_them(pools, fee, tick, near, ranges, swaps, cardinality) -> None:
    back = pools.anvil.snapshot()
    try:
        start = sqrt_price_at_tick(tick) + tick % 997
        pool = pools.create(fee, start)
        positions = placed(ranges, tick, fee, near)
        check_positions(pools, pool, positions, start, Rounding.UP)
        pools.send([grown(pools, pool.address, cardinality)])
        state = pools.state(pool)
        assert state.sqrt_price == start
        now = pools.anvil.timestamp()
        for down, exact_in, amount, distance, seconds in swaps:
            now += seconds
            limit = limit_of(state, down, distance)
            expected = predicted(state, down, exact_in, amount, limit)
            traded = pools.trade(pool, down, amount if exact_in else -amount, limit, at=now)
            assert outcome(expected, down) == traded
            if expected is not None:
                state = expected.after
            assert state == pools.state(pool)
            check_observations(pools, pool, pools.ring(pool), now)
        taken_out = [(lower, upper, -liquidity) for lower, upper, liquidity in positions]
        check_positions(pools, pool, taken_out, state.sqrt_price, Rounding.DOWN)
    finally:
        pools.anvil.revert(back)


def placed(ranges, tick: int, fee: int, near: bool) -> list[tuple[int, int, int]]:
    """(lower, upper, liquidity) of positions: around the price, or anywhere."""
    spacing, made = TICK_SPACINGS[fee], []
    most = MAX_TICK // spacing
    reach = min(most, 1 + 20_000 // spacing) if near else most
    middle = max(min(tick // spacing, most - 1), -most) if near else 0
    for start, end, magnitude in ranges:
        low, high = sorted(middle + round((2 * share - 1) * reach) for share in (start, end))
        low = max(min(low, most - 1), -most)
        high = min(max(high, low + 1), most)
        liquidity = min(10**magnitude, (2**128 - 1) // (2 * most + 1) // 16)
        made.append((low * spacing, high * spacing, liquidity))
    return made


def grown(pools: Pools, pool: bytes, cardinality: int) -> Tx:
    data = calldata("increaseObservationCardinalityNext(uint16)", cardinality)
    return Tx(pools.uniswap.owner, pool, data)


def check_positions(
    pools: Pools, pool: Pool, positions: list[tuple[int, int, int]], price: int, rounding: Rounding
) -> None:
    """Minting (positive) and burning liquidity takes and gives the amounts that are computed here."""
    event = POOL.events["Mint" if rounding is Rounding.UP else "Burn"]
    receipts = pools.send([pools.uniswap.mint(pool.address, *position) for position in positions])
    for receipt, (lower, upper, liquidity) in zip(receipts, positions, strict=True):
        edges = sqrt_price_at_tick(lower), sqrt_price_at_tick(upper)
        expected = amounts_for_liquidity(price, *edges, abs(liquidity), rounding)
        [log] = [log for log in logs_of(receipt) if log.topics[0] == event.topic]
        assert event.decode(log)[1][-2:] == expected


def limit_of(state: PoolState, down: bool, distance: int | None) -> int:
    """A price limit so many ticks away; 0 for none."""
    if distance is None:
        return 0
    tick = state.tick - distance if down else state.tick + distance
    bound = sqrt_price_at_tick(max(min(tick, MAX_TICK), MIN_TICK))
    return max(min(bound, MAX_SQRT_PRICE - 1), MIN_SQRT_PRICE + 1)


def predicted(state: PoolState, down: bool, exact_in: bool, amount: int, limit: int) -> Swapped | None:
    try:
        return (swap_exact_in if exact_in else swap_exact_out)(state, down, amount, limit)
    except Refused:
        return None


def outcome(swapped: Swapped | None, down: bool) -> Traded | None:
    """As the pool's log words it."""
    if swapped is None:
        return None
    paid, got, after = swapped.amount_in, -swapped.amount_out, swapped.after
    amounts = (paid, got) if down else (got, paid)
    return Traded(*amounts, after.sqrt_price, after.liquidity, after.tick)


def check_observations(pools: Pools, pool: Pool, ring: Ring, now: int) -> None:
    for ago in (0, 1, 7, 60, 900, 5_000, 30_000):
        told = pools.observe(pool, ago)
        try:
            expected = [tick_cumulative(ring, now - ago)]
        except Refused:
            expected = None
        assert told == expected, (ago, ring)


def test_ticks_and_prices_are_the_pools_over_the_whole_range(pools: Pools) -> None:
    """A tick's sqrt price is the least at which the pool says that tick: asked there and one below."""
    back = pools.anvil.snapshot()
    pool = pools.create(10_000, MIN_SQRT_PRICE)
    batch = TxBatch(pools.node, pools.uniswap.owner)
    probe = batch.create(forged("TickProbe"))
    batch.send()
    step = max((MAX_TICK - MIN_TICK) // TICKS, 1)
    inner = {MIN_TICK + 1, MAX_TICK - 1, -1, 0, 1, *range(MIN_TICK + 1, MAX_TICK, step)}
    for some in batched(sorted(inner), _AT_ONCE):
        prices = [sqrt_price_at_tick(tick) - below for tick in some for below in (1, 0)]
        told = pools.ask(probe, "ticks(address,uint160[])", pool.address, prices, returns=["int24[]"])
        assert list(told) == [tick - below for tick in some for below in (1, 0)]
        assert list(told) == [tick_at_sqrt_price(price) for price in prices]
    assert (sqrt_price_at_tick(MIN_TICK), sqrt_price_at_tick(MAX_TICK)) == (MIN_SQRT_PRICE, MAX_SQRT_PRICE)
    pools.anvil.revert(back)


def batched(values: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
