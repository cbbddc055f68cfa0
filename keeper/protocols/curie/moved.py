"""Pools as the keeper's own earlier liquidations leave them: what they close, sell and cancel, in order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from keeper.defi.uniswap_v3 import PoolState, swap_exact_in
from keeper.errors import Refused
from keeper.model.plan import OwnLiquidation
from keeper.protocols.curie.state import CurieState, Order
from keeper.protocols.curie.trading import MovedPool, close, pool_state
from keeper.protocols.curie.view import CurieView

_UNLIMITED = 1 << 128
_ANY_PRICE = " at any price"  # where no size leaves the keeper the share of its fee that the limit is made from

Uses = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CurieMoved:
    """`markets`: by id. `exits`: pools in which collateral is sold, by address. Others are as of the block."""

    markets: Mapping[int, MovedPool] = field(default_factory=dict)
    exits: Mapping[bytes, PoolState] = field(default_factory=dict)


def closing(symbol: str, sign: int) -> str:
    """The shared limit's name for closing longs (`sign` 1) or shorts (-1) in a market."""
    return f"closing {symbol} {'long' if sign > 0 else 'short'}s"


def selling(symbol: str, pool: bytes) -> str:
    """The shared limit's name for selling a collateral in a pool."""
    return f"selling {symbol} in 0x{pool.hex()}"


def drawn(key: str, size: int, room: int) -> dict[str, tuple[int, int]]:
    """What a liquidation uses of a limit; recorded without a limit where there is no `room`."""
    return {key: (size, room)} if room else {key + _ANY_PRICE: (size, _UNLIMITED)}


def after(
    view: CurieView, moved: CurieMoved, own: Sequence[OwnLiquidation], orders_of: Callable[[bytes], Sequence[Order]]
) -> CurieMoved:
    """The pools once these liquidations were executed. What a pool does not take is skipped: it reverts on the chain,
    too. orders_of: an account's orders, which are cancelled before its positions are liquidated."""
    markets, exits = dict(moved.markets), dict(moved.exits)
    for liquidation in own:
        closed = _closed(view.state, liquidation.uses)
        orders = [order for account in liquidation.accounts for order in orders_of(account)] if closed else []
        for order in orders:
            _cancel(view, markets, order)
        for market, size in closed:
            _close(view, markets, market, size)
        for token, pool, amount in _sold(view, liquidation.uses):
            _sell(exits, token, exits.get(pool.pool.address, pool), amount)
    return CurieMoved(markets, exits)


def _closed(state: CurieState, uses: Uses) -> list[tuple[int, int]]:
    """(market, signed size) of each close."""
    named = {closing(market.symbol, sign): (market.id, sign) for market in state.markets for sign in (1, -1)}
    found = ((named.get(key.removesuffix(_ANY_PRICE)), amount) for key, amount in uses.items())
    return [(place[0], place[1] * amount) for place, amount in found if place and amount]


def _sold(view: CurieView, uses: Uses) -> list[tuple[bytes, PoolState, int]]:
    """(collateral, pool as of the block, units) of each sale."""
    named = {
        selling(token.symbol, pool.pool.address): (token.address, pool)
        for token in view.state.tokens
        for pool in view.readings.exits.get(token.id, ())
    }
    found = ((named.get(key.removesuffix(_ANY_PRICE)), amount) for key, amount in uses.items())
    return [(*place, amount) for place, amount in found if place and amount]


def _cancel(view: CurieView, markets: dict[int, MovedPool], order: Order) -> None:
    if order.range.market in view.readings.markets:
        known = markets.get(order.range.market) or _unmoved(view, order.range.market)
        markets[order.range.market] = replace(known, cancelled=(*known.cancelled, order))


def _close(view: CurieView, markets: dict[int, MovedPool], market: int, size: int) -> None:
    try:
        pool = close(view, market, size, pool_state(view, market, (), markets.get(market))).after
    except Refused:
        return
    known = markets.get(market) or _unmoved(view, market)
    markets[market] = replace(known, sqrt_price=pool.sqrt_price, tick=pool.tick)


def _unmoved(view: CurieView, market: int) -> MovedPool:
    reading = view.readings.markets[market]
    return MovedPool(reading.sqrt_price, reading.tick)


def _sell(exits: dict[bytes, PoolState], token: bytes, pool: PoolState, amount: int) -> None:
    try:
        sold = swap_exact_in(pool, pool.pool.sells_token0(token), amount)
    except Refused:
        return
    if sold.complete:
        exits[pool.pool.address] = sold.after
