"""Where to sell the proceeds of a liquidation: the best way through Uniswap v3 pools, its price, its capacity.

A way is one pool, or two with a token in between. Quotes are exact at their block.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import isqrt

from keeper.defi.sizing import largest, smallest
from keeper.defi.swap_math import FEE_UNIT
from keeper.defi.tick_math import MAX_SQRT_PRICE, MIN_SQRT_PRICE
from keeper.defi.uniswap_v3 import Pool, PoolState, Swapped, swap_exact_in, swap_to_price
from keeper.errors import Refused
from keeper.model.refusal import RefusalCode

Route = tuple[Pool, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """Pools in the order of trade, and for each whether its token0 is sold."""

    states: tuple[PoolState, ...]
    downs: tuple[bool, ...]

    @property
    def pools(self) -> tuple[bytes, ...]:
        """Addresses, as the executor's swap takes them."""
        return tuple(state.pool.address for state in self.states)


@dataclass(frozen=True, slots=True)
class Exit:
    """A sale of `amount_in` along a way. `way` is as it was before."""

    way: Way
    amount_in: int
    amount_out: int
    swaps: tuple[Swapped, ...] = ()

    @property
    def marginal_price(self) -> Fraction:
        """Units of the token bought for the next unit sold, after fees."""
        return marginal_price(self.way, [swap.after for swap in self.swaps])


@lru_cache(maxsize=4_096)
def routes(pools: tuple[Pool, ...], sell: bytes, buy: bytes) -> tuple[Route, ...]:
    """Every way from one token to another through one pool or two, direct ones first."""
    direct = [(pool,) for pool in pools if {pool.token0, pool.token1} == {sell, buy}]
    around = [
        (first, second)
        for first in pools
        if sell in (first.token0, first.token1) and buy not in (first.token0, first.token1)
        for second in pools
        if {second.token0, second.token1} == {other(first, sell), buy}
    ]
    return (*direct, *around)


def other(pool: Pool, token: bytes) -> bytes:
    """The token that a pool gives for another."""
    return pool.token1 if token == pool.token0 else pool.token0


def way_along(states: Mapping[bytes, PoolState], route: Route, sell: bytes) -> Way | None:
    """A route with its pools as they are now, by address; None when one of them was not read."""
    found, downs = [], []
    for pool in route:
        if (state := states.get(pool.address)) is None:
            return None
        found.append(state)
        downs.append(pool.sells_token0(sell))
        sell = other(pool, sell)
    return Way(tuple(found), tuple(downs))


def ways(states: Iterable[PoolState], sell: bytes, buy: bytes, middles: Collection[bytes] = ()) -> list[Way]:
    """All ways from `sell` to `buy`: one pool, or two by way of one of `middles`."""
    known = {state.pool.address: state for state in states}
    found = routes(tuple(state.pool for state in known.values()), sell, buy)
    wanted = [route for route in found if len(route) == 1 or other(route[0], sell) in middles]
    return [way for route in wanted if (way := way_along(known, route, sell))]


def sell_along(way: Way, amount: int) -> Exit:
    """The sale of exactly `amount`. Raises Refused when the pools cannot take all of it, or were not read that far."""
    if not amount:
        return Exit(way, 0, 0, tuple(Swapped(0, 0, 0, True, state) for state in way.states))
    swaps, units = [], amount
    for state, down in zip(way.states, way.downs, strict=True):
        swaps.append(_whole(swap_exact_in(state, down, units)))
        units = swaps[-1].amount_out
    return Exit(way, amount, units, tuple(swaps))


def best_exit(found: Iterable[Way], amount: int) -> Exit | None:
    """The sale of `amount` that pays most; None when no way can take it."""
    sales = [sale for way in found if (sale := _sold(way, amount))]
    return max(sales, key=lambda sale: sale.amount_out, default=None)


def spot_price(way: Way) -> Fraction:
    """Units of the token bought for one of the token sold, before fees and impact."""
    price = Fraction(1)
    for state, down in zip(way.states, way.downs, strict=True):
        own = Fraction(state.sqrt_price**2, 2**192)
        price *= own if down else 1 / own
    return price


def marginal_price(way: Way, states: Sequence[PoolState] = ()) -> Fraction:
    """The spot price less fees, of the way or of its pools in other states."""
    price = spot_price(Way(tuple(states), way.downs)) if states else spot_price(way)
    for state in way.states:
        price *= Fraction(FEE_UNIT - state.pool.fee, FEE_UNIT)
    return price


def largest_exit(way: Way, least_price: Fraction, most: int) -> Exit:
    """The largest sale of at most `most` that leaves the marginal price at `least_price` or above.

    Nothing when the price is below already. Where the pools are not known far enough, the largest sale that is known.
    """
    if marginal_price(way) < least_price:
        return sell_along(way, 0)

    def fails(amount: int) -> bool:
        sale = _sold(way, amount)
        return sale is None or sale.marginal_price < least_price

    bound = _first_alone(way, least_price, most)
    if len(way.states) > 1:
        return sell_along(way, largest(lambda amount: not fails(amount), bound))
    first = smallest(fails, bound, most)  # rounding alone parts it from the bound
    return sell_along(way, most if first is None else first - 1)


def best_sale(found: Iterable[Way], unit_cost: Fraction, most: int) -> Exit | None:
    """The way and size, at most `most`, that gain most when each unit sold costs `unit_cost` of the token bought.

    None when nothing gains. The gain is concave in the size: it grows while the marginal price is above the cost.
    """
    sales = [largest_exit(way, unit_cost, most) for way in found]
    gaining = [sale for sale in sales if sale.amount_out > sale.amount_in * unit_cost]
    return max(gaining, key=lambda sale: sale.amount_out - sale.amount_in * unit_cost, default=None)


def _whole(swapped: Swapped) -> Swapped:
    if not swapped.complete:
        raise Refused(RefusalCode.UNSUPPORTED, "the Uniswap pools hold too little liquidity for the sale")
    return swapped


def _sold(way: Way, amount: int) -> Exit | None:
    try:
        return sell_along(way, amount)
    except Refused:
        return None


def _first_alone(way: Way, least_price: Fraction, most: int) -> int:
    """At most this much: what takes the first pool to the bound while the others stay where they are, or is known of
    it. The exact answer for a way of one pool."""
    state, down = way.states[0], way.downs[0]
    rest = marginal_price(way) / marginal_price(Way(way.states[:1], way.downs[:1]))
    own = least_price / rest * Fraction(FEE_UNIT, FEE_UNIT - state.pool.fee)
    limit = _root_up(own) if down else _root_down(own)
    limit = min(max(limit, MIN_SQRT_PRICE + 1), MAX_SQRT_PRICE - 1)
    try:
        reached = swap_to_price(state, limit).amount_in
    except Refused:
        return most
    return min(reached, most)


def _root_up(price: Fraction) -> int:
    """The least sqrt price that is not below a price of token0."""
    squared = -(-(price.numerator << 192) // price.denominator)
    return isqrt(squared - 1) + 1 if squared else 0


def _root_down(price: Fraction) -> int:
    """The greatest sqrt price at which a token1 buys no less than `price`."""
    return isqrt((price.denominator << 192) // price.numerator) if price else MAX_SQRT_PRICE
