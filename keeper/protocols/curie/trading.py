"""Closing a position in a market's own pool: the proceeds, and how much the pool and the rules allow."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isqrt

from keeper.defi.fixed_point import mul_div_ceil
from keeper.defi.tick_math import MAX_TICK, MIN_TICK, Q96, sqrt_price_at_tick
from keeper.defi.uniswap_v3 import Pool, PoolState, swap_exact_in, swap_exact_out, swap_to_price
from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.model.refusal import RefusalCode
from keeper.protocols.curie.rounding import RATIO, mul_div, price_of_sqrt, wad_of_x96
from keeper.protocols.curie.state import Order
from keeper.protocols.curie.view import CurieView, MarketView

_TICK_REFRESH_S = 15  # Exchange._PRICE_LIMIT_INTERVAL


@dataclass(frozen=True, slots=True)
class Closed:
    """A closing trade. `quote`: dollars in 1e18 after the exchange's fee, negative when they are paid."""

    quote: int
    fee: int
    after: PoolState
    turns: int  # of the pool's loop, which cost gas


@dataclass(frozen=True, slots=True)
class MovedPool:
    """A market's pool after the keeper's own trades of a block: its price, and the orders cancelled since the block."""

    sqrt_price: int
    tick: int
    cancelled: tuple[Order, ...] = ()


def pool_state(
    view: CurieView, market: int, without: Iterable[Order] = (), moved: MovedPool | None = None
) -> PoolState:
    """A market's pool, without the liquidity of some orders. Ticks come from logs: nobody else can add liquidity.

    Raises Refused("unsupported") when they do not add up to what the pool says.
    """
    at, spec = view.market(market), view.state.markets[market]
    nets = {tick: net for tick, (_, net) in view.state.ticks.get(market, {}).items()}
    if sum(net for tick, net in nets.items() if tick <= at.reading.tick) != at.reading.liquidity:
        raise Refused(
            RefusalCode.UNSUPPORTED,
            f"the pool of {spec.symbol} holds liquidity that was not added through the protocol",
        )
    moved = moved or MovedPool(at.reading.sqrt_price, at.reading.tick)
    gross = {tick: total for tick, (total, _) in view.state.ticks.get(market, {}).items()}
    for order in (*moved.cancelled, *without):
        if order.range.market != market:
            continue
        for tick, sign in ((order.range.lower, 1), (order.range.upper, -1)):
            nets[tick] -= sign * order.liquidity
            gross[tick] -= order.liquidity
    ticks = sorted(tick for tick in nets if gross[tick])
    pool = Pool(spec.pool, spec.base, b"", at.reading.pool_fee, spec.spacing)
    liquidity = sum(nets[tick] for tick in ticks if tick <= moved.tick)
    return PoolState(pool, moved.sqrt_price, moved.tick, liquidity, tuple(ticks), tuple(nets[tick] for tick in ticks))


def tick_bounds(view: CurieView, at: MarketView) -> tuple[int, int]:
    """Between which ticks a trade must leave the pool (EX_OPLAS), once funding was settled at the view's time."""
    fresh = view.now >= at.reading.ticked_at + _TICK_REFRESH_S
    last = at.reading.tick if fresh else at.reading.last_tick
    return last - at.reading.max_ticks, last + at.reading.max_ticks


def close(view: CurieView, market: int, size: int, pool: PoolState) -> Closed:
    """Trade `size` (signed, 1e18) away by `ClearingHouse.closePosition`, all of it, from a state of the pool.

    Raises Refused where the contracts would revert or leave a part.
    """
    at = view.market(market)
    reading, symbol = at.reading, at.market.symbol
    if not reading.max_ticks:
        raise Refused(RefusalCode.UNSUPPORTED, f"market {symbol} takes no trades (EX_MIP)")
    low, high = tick_bounds(view, at)
    tick = max(low, MIN_TICK + 1) if size > 0 else min(high, MAX_TICK - 1)
    limit = sqrt_price_at_tick(tick)
    if size > 0:
        swapped = swap_exact_in(pool, True, mul_div_ceil(size, RATIO, RATIO - reading.pool_fee), limit)
        fee = sum(mul_div_ceil(out, reading.exchange_fee, RATIO) for out in swapped.outs)
        quote = swapped.amount_out - fee
    else:
        swapped = swap_exact_out(pool, False, -size, limit)
        # The exchange charges its own fee by a second pass over the same prices.
        own = replace(pool, pool=replace(pool.pool, fee=reading.exchange_fee))
        fee = swap_exact_out(own, False, -size, limit).fees
        quote = -(swapped.amount_in * (RATIO - reading.pool_fee) // RATIO) - fee
    if not swapped.complete:
        raise Refused(RefusalCode.UNSUPPORTED, f"closing that much moves {symbol} further than one block allows")
    if not low <= swapped.after.tick <= high:
        raise Refused(RefusalCode.UNSUPPORTED, f"closing that much moves {symbol} beyond its price limit (EX_OPLAS)")
    before, after = (_spread(at, state) for state in (pool, swapped.after))
    if not min(before, -reading.max_spread) <= after <= max(before, reading.max_spread):
        raise Refused(
            RefusalCode.UNSUPPORTED, f"closing that much moves {symbol} too far from its index price (EX_OPB)"
        )
    return Closed(quote, fee, swapped.after, len(swapped.outs))


def _spread(at: MarketView, pool: PoolState) -> int:
    """Of the pool's price over the index price, in millionths (`Exchange._getPriceSpreadRatio`)."""
    index = at.index_price(0)
    return mul_div(wad_of_x96(price_of_sqrt(pool.sqrt_price)) - index, RATIO, index)


def room(view: CurieView, market: int, is_long: bool, pool: PoolState, least_wad: int) -> int:
    """The largest size whose last unit still closes at `least_wad` or better (dollars for a long, at most for a short).

    Kept within the market's tick limit; 0 when there is none.
    """
    at = view.market(market)
    low, high = tick_bounds(view, at)
    bound = sqrt_price_at_tick(max(low, MIN_TICK) + 1 if is_long else min(high, MAX_TICK) - 1)
    wanted = _sqrt_of(least_wad)
    target = max(wanted, bound) if is_long else min(wanted, bound)
    if not pool.liquidity or (target >= pool.sqrt_price if is_long else target <= pool.sqrt_price):
        return 0
    try:
        swapped = swap_to_price(pool, target)
    except Refused:
        return 0
    size = swapped.amount_in * (RATIO - at.reading.pool_fee) // RATIO if is_long else swapped.amount_out
    return max(0, size - 1)


def _sqrt_of(price_wad: int) -> int:
    return isqrt(price_wad * Q96 * Q96 // WAD)
