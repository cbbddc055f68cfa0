"""Sales through pools: the best way, monotone in the amount, and no larger than a price bound allows."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from keeper.defi import exits
from keeper.defi.tick_math import MAX_TICK, MIN_TICK, sqrt_price_at_tick
from keeper.defi.uniswap_v3 import Pool, PoolState, swap_exact_in, swap_exact_out, swap_to_price
from keeper.errors import Refused

A, B, C = b"\x0a" * 20, b"\x0b" * 20, b"\x0c" * 20
SPACINGS = {500: 10, 3_000: 60, 10_000: 200}
MOST = 10**24


def pool_state(
    token0: bytes, token1: bytes, fee: int, tick: int, ranges: list[tuple[int, int, int]], known=(MIN_TICK, MAX_TICK)
) -> PoolState:
    """A pool at the very beginning of `tick`, with positions given as (ticks below, ticks above, liquidity)."""
    spacing = SPACINGS[fee]
    nets: dict[int, int] = {}
    liquidity = 0
    for below, above, amount in ranges:
        lower, upper = (tick - below) // spacing * spacing, -(-(tick + above) // spacing) * spacing
        nets[lower] = nets.get(lower, 0) + amount
        nets[upper] = nets.get(upper, 0) - amount
        liquidity += amount if lower <= tick < upper else 0
    ticks = tuple(sorted(place for place in nets if known[0] <= place <= known[1]))
    pool = Pool(bytes([fee % 251]) + token0[1:10] + token1[:10], token0, token1, fee, spacing)
    return PoolState(pool, sqrt_price_at_tick(tick), tick, liquidity, ticks, tuple(nets[at] for at in ticks), known)


RANGES = st.lists(
    st.tuples(st.integers(0, 9_000), st.integers(1, 9_000), st.integers(12, 24).map(lambda power: 10**power)),
    min_size=1,
    max_size=5,
)


def states(token0: bytes, token1: bytes) -> st.SearchStrategy[PoolState]:
    ticks = st.integers(-20_000, 20_000)
    return st.builds(pool_state, st.just(token0), st.just(token1), st.sampled_from(list(SPACINGS)), ticks, RANGES)


ONE_POOL = states(A, B).map(lambda state: [state])
TWO_POOLS = st.tuples(states(A, C), states(B, C)).map(list)
WAYS = st.one_of(ONE_POOL, TWO_POOLS).flatmap(
    lambda pools: st.sampled_from(exits.ways(pools, A, B, [C]) + exits.ways(pools, B, A, [C]))
)
AMOUNTS = st.integers(1, 24).flatmap(lambda power: st.integers(10 ** (power - 1), 10**power))


def sold(way: exits.Way, amount: int) -> exits.Exit | None:
    try:
        return exits.sell_along(way, amount)
    except Refused:
        return None


@given(WAYS, AMOUNTS, AMOUNTS)
def test_more_brings_more_at_a_worse_price(way: exits.Way, one: int, other: int) -> None:
    less, more = sorted((one, other))
    small, large = sold(way, less), sold(way, more)
    if large is None:
        return
    if small is None:  # so little that nothing comes out of the first pool, and the second takes no nothing
        assert swap_exact_in(way.states[0], way.downs[0], less).amount_out == 0
        return
    assert small.amount_out <= large.amount_out
    assert small.marginal_price >= large.marginal_price
    assert large.amount_out <= large.amount_in * exits.marginal_price(way)


@settings(max_examples=60)
@given(WAYS, st.integers(1, 99_999), AMOUNTS)
def test_the_largest_sale_keeps_to_its_price_and_no_larger_one_does(way: exits.Way, share: int, most: int) -> None:
    least = exits.spot_price(way) * Fraction(share, 100_000)
    sale = exits.largest_exit(way, least, most)
    assert sale.amount_in <= most
    if exits.marginal_price(way) < least:
        assert sale.amount_in == 0
        return
    assert sale.marginal_price >= least
    for more in (sale.amount_in + 1, sale.amount_in + sale.amount_in // 1_000 + 1, most):
        larger = sold(way, more) if sale.amount_in < more <= most else None
        assert larger is None or larger.marginal_price < least


@settings(max_examples=60)
@given(ONE_POOL, st.integers(90_000, 99_999), AMOUNTS)
def test_the_best_sale_gains_most(pools: list[PoolState], share: int, most: int) -> None:
    found = exits.ways(pools, A, B)
    cost = exits.spot_price(found[0]) * Fraction(share, 100_000)
    best = exits.best_sale(found, cost, most)
    gains = best.amount_out - best.amount_in * cost if best else Fraction(0)
    rounding = 2 + len(pools[0].ticks) + 100  # a unit a turn of the pool's loop
    for amount in [most * part // 64 for part in range(1, 65)] + (
        [best.amount_in * 2, best.amount_in // 2] if best else []
    ):
        if 0 < amount <= most and (sale := sold(found[0], amount)):
            assert sale.amount_out - amount * cost <= gains + rounding * (1 + cost)


def test_the_way_that_brings_most_is_taken_and_ways_that_cannot_are_left() -> None:
    thin = pool_state(A, B, 500, 0, [(2_000, 2_000, 10**15)])
    deep = pool_state(A, B, 3_000, 0, [(2_000, 2_000, 10**21)])
    first, second = (
        pool_state(A, C, 500, 0, [(5_000, 5_000, 10**24)]),
        pool_state(B, C, 500, 0, [(5_000, 5_000, 10**24)]),
    )
    direct, all_ways = exits.ways([thin, deep], A, B), exits.ways([thin, deep, first, second], A, B, [A, C])
    around = (first.pool.address, second.pool.address)
    assert [way.pools for way in all_ways] == [(thin.pool.address,), (deep.pool.address,), around]
    assert exits.best_exit(direct, 10**9).way.pools == (thin.pool.address,)
    assert exits.best_exit(direct, 10**18).way.pools == (deep.pool.address,)
    assert exits.best_exit(all_ways, 10**18).way.pools == around
    assert exits.best_exit(direct, 10**30) is None
    assert exits.best_exit([], 1) is None


@pytest.mark.parametrize("down", [True, False])
def test_a_swap_that_leaves_what_is_known_is_refused_and_others_are_as_if_all_were(down: bool) -> None:
    ranges = [(30_000, 30_000, 10**18), (700, 700, 10**20), (90, 90, 10**19)]
    whole = pool_state(A, B, 500, 25, ranges)
    narrow = pool_state(A, B, 500, 25, ranges, known=(25 - 995, 25 + 995))
    edge = sqrt_price_at_tick(narrow.known[0] if down else narrow.known[1])
    most = swap_to_price(narrow, edge)
    assert most.after.sqrt_price == edge
    assert most.amount_in == swap_to_price(whole, edge).amount_in
    for amount in (1, most.amount_in // 3, most.amount_in):
        known, real = swap_exact_in(narrow, down, amount), swap_exact_in(whole, down, amount)
        assert (known.amount_out, known.after.sqrt_price) == (real.amount_out, real.after.sqrt_price)
    for refused in (
        lambda: swap_exact_in(narrow, down, most.amount_in * 11 // 10),
        lambda: swap_exact_out(narrow, down, most.amount_out * 11 // 10),
        lambda: swap_to_price(narrow, sqrt_price_at_tick(25 - 1_100 if down else 25 + 1_100)),
    ):
        with pytest.raises(Refused, match="beyond the ticks that were read"):
            refused()


def test_a_token_that_is_not_the_pools_is_refused() -> None:
    with pytest.raises(Refused, match="is not a token"):
        pool_state(A, B, 500, 0, [(10, 10, 1)]).pool.sells_token0(C)


@settings(max_examples=300)
@given(
    states(A, B),
    st.integers(0, 3_000),
    st.integers(0, 3_000),
    st.booleans(),
    st.booleans(),
    AMOUNTS,
    st.integers(-6_000, 6_000),
)
def test_a_window_of_ticks_tells_the_truth_or_nothing(
    whole: PoolState, below: int, above: int, down: bool, exact_in: bool, amount: int, distance: int
) -> None:
    window = (whole.tick - below, whole.tick + above)
    seen = [place for place, tick in enumerate(whole.ticks) if window[0] <= tick <= window[1]]
    narrow = replace(
        whole, ticks=tuple(whole.ticks[at] for at in seen), nets=tuple(whole.nets[at] for at in seen), known=window
    )
    limit = sqrt_price_at_tick(whole.tick + distance) if distance % 2 and (distance < 0) == down else 0
    swap = swap_exact_in if exact_in else swap_exact_out
    try:
        known = swap(narrow, down, amount, limit)
    except Refused:
        return
    real = swap(whole, down, amount, limit)
    assert replace(known, after=real.after) == real
    assert replace(known.after, ticks=whole.ticks, nets=whole.nets, known=whole.known) == real.after
