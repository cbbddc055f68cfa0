"""Ways through real pools: what a quote says, the pools do; what was read around the price is enough or refused."""

import os
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from keeper.defi import exits
from keeper.defi.tick_math import sqrt_price_at_tick
from keeper.errors import Refused
from keeper.sim.node.anvil import Anvil
from tests.support.uniswap import GAS, Pools

SALES = int(os.environ.get("UNISWAP_SALES", "25"))
RULES = settings(
    max_examples=SALES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    database=None,
)
MOST = 10**30
POSITION = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(14, 24))  # spacings down, up; liquidity
MADE = st.tuples(
    st.sampled_from([(0, 1), (0, 2), (1, 2)]),
    st.sampled_from([500, 3_000, 10_000]),
    st.integers(-4_000, 4_000),
    st.lists(POSITION, min_size=1, max_size=4),
)


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    with Anvil(mining=False, gas_limit=4 * GAS) as anvil:
        yield Pools.on(anvil, tokens=3)


@RULES
@given(
    st.lists(MADE, min_size=2, max_size=5, unique_by=lambda made: made[:2]),
    st.permutations([0, 1, 2]),
    st.integers(0, 25).map(lambda power: 10**power) | st.integers(1, 10**22),
    st.integers(50, 99_999),
    st.sampled_from([100, 900, 6_000]),
)
def test_what_a_quote_says_the_pools_do(pools, made, tokens, amount, share, reach) -> None:
    back = pools.anvil.snapshot()
    try:
        created = [created_pool(pools, *one) for one in made]
        sell, buy, middle = (pools.tokens[index] for index in tokens)
        whole = {state.pool.address: state for state in (pools.state(pool) for pool in created)}
        for way in exits.ways((pools.state(pool, reach) for pool in created), sell, buy, [middle]):
            everything = exits.Way(tuple(whole[address] for address in way.pools), way.downs)
            most = exits.largest_exit(way, exits.spot_price(way) * Fraction(share, 100_000), MOST).amount_in
            for units in {amount, most}:
                if (sale := quoted(way, units)) is not None:
                    assert sale.amount_out == quoted(everything, units).amount_out
                    assert sale.amount_out == carried_out(pools, sale)
    finally:
        pools.anvil.revert(back)


def quoted(way: exits.Way, amount: int) -> exits.Exit | None:
    try:
        return exits.sell_along(way, amount)
    except Refused:
        return None


def created_pool(pools, pair, fee, tick, positions):
    pool = pools.create(fee, sqrt_price_at_tick(tick) + 1, *pair)
    place = tick // pool.spacing
    minted = [
        ((place - below) * pool.spacing, (place + above) * pool.spacing, 10**magnitude)
        for below, above, magnitude in positions
    ]
    pools.send([pools.uniswap.mint(pool.address, *position) for position in minted])
    return pool


def carried_out(pools: Pools, sale: exits.Exit) -> int:
    """What the pools give for the sale, one after the other; taken back afterwards."""
    back, units = pools.anvil.snapshot(), sale.amount_in
    for state, down in zip(sale.way.states, sale.way.downs, strict=True):
        if units:
            traded = pools.trade(state.pool, down, units)
            assert traded is not None
            paid, got = (traded.amount0, -traded.amount1) if down else (traded.amount1, -traded.amount0)
            assert paid == units
            units = got
    pools.anvil.revert(back)
    return units
