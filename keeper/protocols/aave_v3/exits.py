"""Selling seized collateral: routes of one or two Uniswap v3 pools between reserves, quoted to the unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

from keeper.defi.exits import Route, sell_along, way_along
from keeper.defi.uniswap_v3 import Pool, PoolState, swap_to_price
from keeper.errors import Refused

REACH = 6_000  # ticks around the price that are read: 45 % down, 82 % up
_PERCENT = 10_000


@dataclass(frozen=True, slots=True)
class Quote:
    """The proceeds of selling an amount along a route. `inputs`: the amount that goes into each pool."""

    route: Route
    amount_out: int
    inputs: tuple[int, ...]


def quote(states: Mapping[bytes, PoolState], route: Route, token: bytes, amount: int) -> Quote | None:
    """None when the route cannot take the amount, or its pools were not read far enough to know."""
    way = way_along(states, route, token)
    if way is None or not amount:
        return None
    try:
        sale = sell_along(way, amount)
    except Refused:
        return None
    return Quote(route, sale.amount_out, tuple(swap.amount_in for swap in sale.swaps))


def room(state: PoolState, token: bytes, slip_bps: int) -> int:
    """Units of `token` that move a pool's price by `slip_bps`. 0 when the pool was not read far enough."""
    down = state.pool.sells_token0(token)
    factor = _PERCENT - slip_bps if down else _PERCENT + slip_bps
    target = state.sqrt_price * isqrt(factor * 10**8) // isqrt(_PERCENT * 10**8)
    try:
        return swap_to_price(state, target).amount_in
    except Refused:
        return 0


def room_key(pool: Pool, token: bytes) -> str:
    """The shared limit's name for selling a token in a pool."""
    return f"exit:0x{pool.address.hex()}:{'0' if pool.sells_token0(token) else '1'}"
