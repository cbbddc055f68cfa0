"""Selling seized collateral: routes of one or two Uniswap v3 pools between reserves, quoted to the unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

from keeper.defi.exits import Route, sell_along, way_along
from keeper.defi.uniswap_v3 import Pool, PoolState, swap_exact_in, swap_to_price
from keeper.errors import Refused
from keeper.model.plan import OwnLiquidation

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


_EXIT = "exit:0x"


def room_key(pool: Pool, token: bytes) -> str:
    """The shared limit's name for selling a token in a pool."""
    return f"{_EXIT}{pool.address.hex()}:{'0' if pool.sells_token0(token) else '1'}"


def after(states: Mapping[bytes, PoolState], own: Sequence[OwnLiquidation]) -> Mapping[bytes, PoolState]:
    """The pools once liquidations have sold there, in order, what they draw on `room_key` limits. A sale that a pool
    does not take is skipped: it reverts on the chain, too."""
    moved = dict(states)
    for liquidation in own:
        for key, amount in liquidation.uses.items():
            if key.startswith(_EXIT):
                address, _, side = key.removeprefix(_EXIT).partition(":")
                _sell(moved, bytes.fromhex(address), side == "0", amount)
    return moved


def _sell(states: dict[bytes, PoolState], pool: bytes, zero_for_one: bool, amount: int) -> None:
    if pool not in states or not amount:
        return
    try:
        sold = swap_exact_in(states[pool], zero_for_one, amount)
    except Refused:
        return
    if sold.complete:
        states[pool] = sold.after
