"""Which calls of the executor the key may sign: liquidations of known markets and collaterals."""

from contextlib import suppress

from keeper.defi.fixed_point import Rounding
from keeper.defi.swap_math import amounts_for_liquidity
from keeper.defi.tick_math import MAX_SQRT_PRICE, MIN_SQRT_PRICE, sqrt_price_at_tick
from keeper.errors import Refused
from keeper.model.chain import Call
from keeper.model.health import WAD
from keeper.model.stakes import Stakes, asset_of
from keeper.protocols import executor
from keeper.protocols.base import Snapshot
from keeper.protocols.curie.contracts import Contracts
from keeper.protocols.curie.state import BALANCES, SETTLEMENT, CurieMarket, CurieState, Order, holdings_of
from keeper.protocols.curie.view import view_at


def why_not(contracts: Contracts, holder: bytes, state: CurieState, call: Call) -> str:
    """Why the key may not sign a call; empty when it may. `holder`: the executor."""

    def single(order: executor.Single) -> str:
        if order.account == contracts.insurance_fund:
            return "a liquidation of the insurance fund"
        if isinstance(order, executor.CurieLiquidation):
            return _position(contracts, state, order)
        if isinstance(order, executor.CurieCollateral):
            return _collateral(contracts, state, order)
        return f"a {type(order).__name__}"

    return executor.Permitted(holder, single, lambda _: contracts.settlement).why_not(call)


def _position(contracts: Contracts, state: CurieState, order: executor.CurieLiquidation) -> str:
    if order.clearing_house != contracts.clearing_house:
        return f"a liquidation in 0x{order.clearing_house.hex()}, which is not the clearing house"
    if state.market_of(order.base_token) is None:
        return f"a position in 0x{order.base_token.hex()}, which is no market"
    if not 0 < abs(order.size) < executor.MOST_UNITS:
        return f"a position of {order.size}"
    if not 0 <= order.margin < executor.MOST_UNITS:
        return f"a margin of {order.margin} units"
    bound, limit = order.opposite_amount_bound, order.sqrt_price_limit_x96
    sane = 0 <= bound < executor.MOST_UNITS and (limit == 0 or MIN_SQRT_PRICE <= limit <= MAX_SQRT_PRICE)
    return "" if sane else f"a close for {bound}, at a root price of {limit} at the worst"


def _collateral(contracts: Contracts, state: CurieState, order: executor.CurieCollateral) -> str:
    if order.vault != contracts.vault:
        return f"a liquidation in 0x{order.vault.hex()}, which is not the vault"
    token = state.token_of(order.collateral)
    if token is None or token.id == SETTLEMENT:
        return f"a purchase of 0x{order.collateral.hex()}, which is no collateral"
    if not 0 < order.amount < executor.MOST_UNITS:
        return f"a purchase for {order.amount} units"
    exits = {pool.address: pool for pool in token.exits}
    return executor.unsold(order.swap, exits, token.address, contracts.settlement)


def stakes(unit: int, snapshot: Snapshot, call: Call) -> Stakes:
    """A market's base token, valued at the mark price, or a collateral, valued at what is paid for it."""

    def single(order: executor.Single) -> Stakes:
        if isinstance(order, executor.CurieLiquidation):
            return _position_stakes(snapshot, order)
        assert isinstance(order, executor.CurieCollateral)
        token = snapshot.state.token_of(order.collateral)
        row = snapshot.columns.accounts.row(order.account)
        held = row is not None and token is not None and snapshot.columns[BALANCES].get(row, token.id)[0] > 0
        misfit = "" if held else "the account does not have that collateral"
        return Stakes((order.account,), frozenset({asset_of(order.collateral)}), order.amount * unit, misfit)

    return executor.stakes(call, single)


def _position_stakes(snapshot: Snapshot, order: executor.CurieLiquidation) -> Stakes:
    market = snapshot.state.market_of(order.base_token)
    assert market is not None
    notional = None
    with suppress(Refused):
        view = view_at(snapshot.state, snapshot.readings, snapshot.block.timestamp)
        notional = abs(order.size) * view.market(market.id).mark_price // WAD
    assets = frozenset({asset_of(order.base_token)})
    return Stakes((order.account,), assets, notional, *_contradictions(snapshot, market, order))


def _contradictions(snapshot: Snapshot, market: CurieMarket, order: executor.CurieLiquidation) -> tuple[str, str]:
    """Why the account cannot hold that size on that side once its orders are cancelled: at any price, at this one.

    Whether they can be cancelled depends on the time, so that is left to the simulation.
    """
    row = snapshot.columns.accounts.row(order.account)
    if row is None:
        return "the account holds nothing", ""
    holdings = holdings_of(snapshot.state, snapshot.columns, row)
    position = holdings.positions.get(market.id)
    least = most = now = position.size if position else 0
    reading = snapshot.readings.markets.get(market.id) if holdings.orders else None
    for own in holdings.orders:
        if own.range.market == market.id:
            least -= own.base_debt
            most += _base_of(own, 0) - own.base_debt
            now += _base_of(own, reading.sqrt_price) - own.base_debt if reading else 0
    held = f"the account's position in {market.symbol} is"
    if not (0 < order.size <= most or least <= order.size < 0):
        return f"{held} {least if least == most else f'{least} to {most}'}, not {order.size} or more", ""
    doubtful = now * order.size <= 0
    return "", f"{held} {now} at this price, not {order.size}" if doubtful else ""


def _base_of(order: Order, sqrt_price: int) -> int:
    """Base tokens that a cancelled order gives at a price; the most at zero."""
    lower, upper = sqrt_price_at_tick(order.range.lower), sqrt_price_at_tick(order.range.upper)
    return amounts_for_liquidity(sqrt_price, lower, upper, order.liquidity, Rounding.DOWN)[0]
