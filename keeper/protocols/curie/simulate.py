"""What cancelling orders, liquidating a position and settling bad debt do to an account, in the contracts' integers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from keeper.defi.fixed_point import Rounding, truncated_div
from keeper.defi.swap_math import amounts_for_liquidity
from keeper.defi.tick_math import sqrt_price_at_tick
from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.protocols.curie.account_value import DUST, AccountValue, pending_fee
from keeper.protocols.curie.rounding import RATIO, mul_div, mul_ratio
from keeper.protocols.curie.state import SETTLEMENT, Holdings, Order, Position

_WHOLE_BELOW = 100 * WAD  # AccountBalance._MIN_PARTIAL_LIQUIDATE_POSITION_VALUE
_MOST_UINT24 = (1 << 24) - 1
_NOTHING = Position(0, 0)


@dataclass(frozen=True, slots=True)
class Liquidation:
    """One slice, closed at the mark price. Signed size and notional are the trader's; dollars in 1e18."""

    size: int
    notional: int
    penalty: int
    to_liquidator: int
    to_fund: int
    after: Holdings
    value_after: int  # the trader's account value before bad debt is settled
    bad_debt: int  # settlement token units that the insurance fund takes over

    @property
    def takeover(self) -> Position:
        """What the liquidator inherits."""
        return Position(self.size, self.to_liquidator - self.notional)


def realized(position: Position, base: int, quote: int) -> int:
    """`Exchange.getPnlToBeRealized`."""
    if not base or not position.size or (position.size < 0) == (base < 0):
        return 0
    closed = abs(base) * WAD // abs(position.size)
    if closed <= WAD:
        return quote + mul_div(position.notional, closed, WAD)
    return position.notional + mul_div(quote, WAD, closed)


def exchanged(holdings: Holdings, market: int, base: int, quote: int, fee: int = 0) -> Holdings:
    """`ClearingHouse._modifyPositionAndRealizePnl`: a trade, its profit realised, dust written off."""
    position = holdings.positions.get(market, _NOTHING)
    profit = realized(position, base, quote)
    after = Position(position.size + base, position.notional + quote - profit, position.premium)
    positions = {**holdings.positions, market: after}
    markets = holdings.markets
    in_orders = any(order.range.market == market for order in holdings.orders)
    if abs(after.size) < DUST and abs(after.notional) < DUST and not in_orders:
        del positions[market]
        markets -= 1
    return replace(holdings, owed=holdings.owed + fee + profit, positions=positions, markets=markets)


def settled(standing: AccountValue, market: int) -> Holdings:
    """`ClearingHouse._settleFunding` of a trader without orders in the market, or whose orders are taken out next."""
    holdings = standing.holdings
    position = holdings.positions.get(market, _NOTHING)
    now = replace(position, premium=standing.view.market(market).growth.premium)
    return replace(
        holdings, owed=holdings.owed - standing.parts[market].funding, positions={**holdings.positions, market: now}
    )


def cancelled(standing: AccountValue) -> AccountValue:
    """Every order taken out, market by market (`ClearingHouse.cancelAllExcessOrders`).

    Raises Refused where the contract would not do it.
    """
    for market in sorted({order.range.market for order in standing.holdings.orders}):
        standing = _cancelled_in(standing, market)
    return standing


def _cancelled_in(standing: AccountValue, market: int) -> AccountValue:
    if not (standing.liquidatable or standing.free_collateral(standing.view.parameters.mm_ratio) < 0):
        raise Refused("unsupported", "its orders cannot be cancelled, so that its positions cannot be liquidated")
    ours = [order for order in standing.holdings.orders if order.range.market == market]
    taken = [_taken_out(standing, order) for order in ours]
    rest = tuple(order for order in standing.holdings.orders if order.range.market != market)
    holdings = replace(settled(standing, market), orders=rest)
    base, quote, fee = (sum(found[at] for found in taken) for at in range(3))
    return replace(standing, holdings=exchanged(holdings, market, base, quote, fee))


def _taken_out(standing: AccountValue, order: Order) -> tuple[int, int, int]:
    """(base, quote, fee) that an order turns into (`OrderBook._removeLiquidity`)."""
    at = standing.view.market(order.range.market)
    lower, upper = sqrt_price_at_tick(order.range.lower), sqrt_price_at_tick(order.range.upper)
    base, quote = amounts_for_liquidity(at.reading.sqrt_price, lower, upper, order.liquidity, Rounding.DOWN)
    return base - order.base_debt, quote - order.quote_debt, pending_fee(at, order)


def most_size(standing: AccountValue, market: int) -> int:
    """Signed size that may be liquidated (`AccountBalance.getLiquidatablePositionSize`), of who has no order."""
    part = standing.parts[market]
    if not standing.liquidatable or not part.size:
        return 0
    value = abs(part.value)
    if value <= _WHOLE_BELOW or standing.account_value < truncated_div(standing.requirement, 2):
        return part.size
    ratio = standing.absolute_value * RATIO // (value * 2)
    if ratio > _MOST_UINT24:
        raise Refused("unsupported", "a position so small beside the others that the contract cannot size it")
    return mul_ratio(part.size, min(ratio, RATIO))


def liquidate(standing: AccountValue, market: int, size: int) -> Liquidation:
    """`ClearingHouse.liquidate` of a signed size that is within `most_size`, of who has no order.

    Raises Refused("unpriced").
    """
    parameters, unit = standing.view.parameters, standing.unit
    notional = mul_div(size, standing.view.market(market).mark_price, WAD)
    penalty = mul_ratio(abs(notional), parameters.penalty_ratio)
    bankrupt = standing.account_value < 0
    to_liquidator = penalty if bankrupt else penalty // 2
    after = exchanged(settled(standing, market), market, -size, notional)
    after = replace(after, owed=after.owed - penalty)
    left = replace(standing, holdings=after)
    after, bad_debt = settle_bad_debt(left)
    return Liquidation(
        size, notional, penalty, to_liquidator, penalty - to_liquidator, after, left.account_value, bad_debt * unit
    )


def settle_bad_debt(standing: AccountValue) -> tuple[Holdings, int]:
    """(holdings after, settlement token units that the insurance fund takes over) (`Vault.settleBadDebt`)."""
    holdings = standing.holdings
    if holdings.markets or holdings.has_collateral:
        return holdings, 0
    value = (standing.settlement_balance + standing.unrealized) // standing.unit
    if value >= 0:
        return holdings, 0
    balances: Mapping[int, int] = {SETTLEMENT: holdings.balances.get(SETTLEMENT, 0) - value}
    return replace(holdings, balances=balances), -value


def fund_capacity(fund: AccountValue, added: int) -> int:
    """`InsuranceFund.getInsuranceFundCapacity` once `added` dollars (1e18) were credited to it, in 1e18."""
    value = (fund.settlement_balance + fund.unrealized + added) // fund.unit
    return (value + fund.view.parameters.fund_wallet) * fund.unit
