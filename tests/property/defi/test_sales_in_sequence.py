"""Sales one after the other in real pools: each is quoted in the pools as the earlier ones leave them, to the unit."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from keeper.defi.exits import other, routes
from keeper.defi.tick_math import sqrt_price_at_tick
from keeper.model.plan import OwnLiquidation
from keeper.protocols.aave_v3 import exits
from keeper.sim.node.anvil import Anvil
from tests.support.uniswap import GAS, Pools

SEQUENCES = int(os.environ.get("UNISWAP_SALES", "25")) * 2 // 5
TICKS = 900
POSITION = st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(18, 22))  # spacings down, up; liquidity
MADE = st.tuples(
    st.sampled_from([(0, 1), (0, 2), (1, 2)]),
    st.sampled_from([500, 3_000, 10_000]),
    st.integers(-TICKS, TICKS),
    st.lists(POSITION, min_size=1, max_size=3),
)
SALE = st.tuples(st.permutations([0, 1, 2]), st.integers(0, 9), st.integers(1, 10**21) | st.integers(1, 10**6))


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    with Anvil(mining=False, gas_limit=4 * GAS) as anvil:
        yield Pools.on(anvil, tokens=3)


@settings(
    max_examples=SEQUENCES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    database=None,
)
@given(
    st.lists(MADE, min_size=2, max_size=4, unique_by=lambda made: made[:2]),
    st.lists(SALE, min_size=3, max_size=8),
)
def test_the_nth_sale_brings_what_was_quoted_after_the_earlier_ones(pools: Pools, made, sales) -> None:
    back = pools.anvil.snapshot()
    try:
        created = tuple(created_pool(pools, *one) for one in made)
        states = {pool.address: pools.state(pool) for pool in created}
        for (sell, buy, _), choice, amount in sales:
            token = pools.tokens[sell]
            ways = routes(created, token, pools.tokens[buy])
            quoted = exits.quote(states, ways[choice % len(ways)], token, amount) if ways else None
            if quoted is None:
                continue
            assert carried_out(pools, quoted, token) == quoted.amount_out
            states = dict(exits.after(states, [OwnLiquidation((), drawn(quoted, token))]))
        for pool in created:  # price, tick, liquidity: everything that a later quote depends on
            assert states[pool.address] == pools.state(pool)
    finally:
        pools.anvil.revert(back)


def created_pool(pools: Pools, pair, fee, tick, positions):
    pool = pools.create(fee, sqrt_price_at_tick(tick) + 1, *pair)
    place = tick // pool.spacing
    minted = [
        ((place - below) * pool.spacing, (place + above) * pool.spacing, 10**magnitude)
        for below, above, magnitude in positions
    ]
    pools.send([pools.uniswap.mint(pool.address, *position) for position in minted])
    return pool


def drawn(quoted: exits.Quote, token: bytes) -> dict[str, int]:
    """What a liquidation with this sale records of the pools that it uses."""
    uses = {}
    for pool, amount in zip(quoted.route, quoted.inputs, strict=True):
        uses[exits.room_key(pool, token)] = amount
        token = other(pool, token)
    return uses


def carried_out(pools: Pools, quoted: exits.Quote, token: bytes) -> int:
    """What the pools give for the sale, for good."""
    units = quoted.inputs[0]
    for pool in quoted.route:
        down = pool.sells_token0(token)
        if units:
            traded = pools.trade(pool, down, units)
            assert traded is not None
            units = -traded.amount1 if down else -traded.amount0
        token = other(pool, token)
    return units
