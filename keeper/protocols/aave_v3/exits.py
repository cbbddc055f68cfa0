"""Selling seized collateral: routes of one or two Uniswap v3 pools between reserves, quoted to the unit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

from keeper.defi.uniswap_v3 import Pool, PoolState, swap_exact_in, swap_to_price
from keeper.errors import Refused

REACH = 6_000  # ticks around the price that are read: 45 % down, 82 % up
_PERCENT = 10_000

Route = tuple[Pool, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """What selling an amount on a route brings. `inputs`: what each pool is given."""

    route: Route
    amount_out: int
    inputs: tuple[int, ...]


@lru_cache(maxsize=4_096)
def routes(pools: tuple[Pool, ...], token: bytes, wanted: bytes) -> tuple[Route, ...]:
    """Every way from one token to another through one pool or two."""
    direct = [(pool,) for pool in pools if {pool.token0, pool.token1} == {token, wanted}]
    return (*direct, *_two_hops(pools, token, wanted))


def _two_hops(pools: tuple[Pool, ...], token: bytes, wanted: bytes) -> Iterator[Route]:
    for first in pools:
        if token not in (first.token0, first.token1):
            continue
        middle = other(first, token)
        if middle == wanted:
            continue
        for second in pools:
            if {second.token0, second.token1} == {middle, wanted}:
                yield first, second


def other(pool: Pool, token: bytes) -> bytes:
    """The token that a pool gives for another."""
    return pool.token1 if token == pool.token0 else pool.token0


def quote(states: Mapping[bytes, PoolState], route: Route, token: bytes, amount: int) -> Quote | None:
    """None when the route cannot take so much, or more than what was read of its pools would be needed to say."""
    inputs = []
    for pool in route:
        state = states.get(pool.address)
        if state is None or not amount:
            return None
        inputs.append(amount)
        try:
            swapped = swap_exact_in(state, pool.sells_token0(token), amount)
        except Refused:
            return None
        if not swapped.complete:
            return None
        token, amount = other(pool, token), swapped.amount_out
    return Quote(route, amount, tuple(inputs))


def best(states: Mapping[bytes, PoolState], found: Sequence[Route], token: bytes, amount: int) -> Quote | None:
    """The route that brings most for this amount; the first of equals."""
    quotes = [made for route in found if (made := quote(states, route, token, amount))]
    return max(quotes, key=lambda made: made.amount_out, default=None)


def room(state: PoolState, token: bytes, slip_bps: int) -> int:
    """Units of `token` that a pool takes before its price has moved by a share. 0 when not enough of it was read."""
    down = state.pool.sells_token0(token)
    factor = _PERCENT - slip_bps if down else _PERCENT + slip_bps
    target = state.sqrt_price * isqrt(factor * 10**8) // isqrt(_PERCENT * 10**8)
    try:
        return swap_to_price(state, target).amount_in
    except Refused:
        return 0


def room_key(pool: Pool, token: bytes) -> str:
    """Name of what a pool takes in a direction among the shared limits."""
    return f"exit:0x{pool.address.hex()}:{'0' if pool.sells_token0(token) else '1'}"
