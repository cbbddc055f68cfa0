"""What liquidations do to an account, in the contracts' integers: cancelled orders, closed positions, collateral."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from keeper.defi.fixed_point import Rounding, mul_div_ceil, truncated_div
from keeper.defi.swap_math import amounts_for_liquidity
from keeper.defi.tick_math import sqrt_price_at_tick
from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.model.refusal import RefusalCode
from keeper.protocols.curie.account_value import DUST, AccountValue, pending_fee
from keeper.protocols.curie.rounding import RATIO, div_ratio, mul_div, mul_ratio
from keeper.protocols.curie.state import SETTLEMENT, CurieHoldings, CuriePosition, CurieToken, Order

_WHOLE_BELOW = 100 * WAD  # AccountBalance._MIN_PARTIAL_LIQUIDATE_POSITION_VALUE
_MOST_UINT24 = (1 << 24) - 1
_NOTHING = CuriePosition(0, 0)


@dataclass(frozen=True, slots=True)
class SliceLiquidation:
    """One slice, closed at the mark price. Signed size and notional are the trader's; dollars in 1e18."""

    size: int
    notional: int
    penalty: int
    to_liquidator: int
    to_fund: int
    after: CurieHoldings
    value_after: int  # the trader's account value before bad debt is settled
    bad_debt: int  # settlement token units that the insurance fund takes over

    @property
    def takeover(self) -> CuriePosition:
        """The position that the liquidator takes over."""
        return CuriePosition(self.size, self.to_liquidator - self.notional)


def realized(position: CuriePosition, base: int, quote: int) -> int:
    """`Exchange.getPnlToBeRealized`."""
    if not base or not position.size or (position.size < 0) == (base < 0):
        return 0
    closed = abs(base) * WAD // abs(position.size)
    if closed <= WAD:
        return quote + mul_div(position.notional, closed, WAD)
    return position.notional + mul_div(quote, WAD, closed)


def exchanged(holdings: CurieHoldings, market: int, base: int, quote: int, fee: int = 0) -> CurieHoldings:
    """`ClearingHouse._modifyPositionAndRealizePnl`: a trade, its profit realised, dust written off."""
    position = holdings.positions.get(market, _NOTHING)
    profit = realized(position, base, quote)
    after = CuriePosition(position.size + base, position.notional + quote - profit, position.premium)
    positions = {**holdings.positions, market: after}
    markets = holdings.markets
    in_orders = any(order.range.market == market for order in holdings.orders)
    if abs(after.size) < DUST and abs(after.notional) < DUST and not in_orders:
        del positions[market]
        markets -= 1
    return replace(holdings, owed=holdings.owed + fee + profit, positions=positions, markets=markets)


def settled(account: AccountValue, market: int) -> CurieHoldings:
    """`ClearingHouse._settleFunding` of a trader without orders in the market, or whose orders are taken out next."""
    holdings = account.holdings
    position = holdings.positions.get(market, _NOTHING)
    now = replace(position, premium=account.view.market(market).growth.premium)
    return replace(
        holdings, owed=holdings.owed - account.parts[market].funding, positions={**holdings.positions, market: now}
    )


def cancelled(account: AccountValue) -> AccountValue:
    """The account with all orders cancelled, market by market (`ClearingHouse.cancelAllExcessOrders`).

    Raises Refused where the contract would not do it.
    """
    for market in sorted({order.range.market for order in account.holdings.orders}):
        account = _cancelled_in(account, market)
    return account


def _cancelled_in(account: AccountValue, market: int) -> AccountValue:
    if not (account.liquidatable or account.free_collateral(account.view.parameters.mm_ratio) < 0):
        raise Refused(RefusalCode.UNSUPPORTED, "its orders cannot be cancelled, so its positions cannot be liquidated")
    ours = [order for order in account.holdings.orders if order.range.market == market]
    taken = [_taken_out(account, order) for order in ours]
    rest = tuple(order for order in account.holdings.orders if order.range.market != market)
    holdings = replace(settled(account, market), orders=rest)
    base, quote, fee = (sum(found[at] for found in taken) for at in range(3))
    return replace(account, holdings=exchanged(holdings, market, base, quote, fee))


def _taken_out(account: AccountValue, order: Order) -> tuple[int, int, int]:
    """(base, quote, fee) that an order turns into (`OrderBook._removeLiquidity`)."""
    at = account.view.market(order.range.market)
    lower, upper = sqrt_price_at_tick(order.range.lower), sqrt_price_at_tick(order.range.upper)
    base, quote = amounts_for_liquidity(at.reading.sqrt_price, lower, upper, order.liquidity, Rounding.DOWN)
    return base - order.base_debt, quote - order.quote_debt, pending_fee(at, order)


def most_size(account: AccountValue, market: int) -> int:
    """Signed size that may be liquidated (`AccountBalance.getLiquidatablePositionSize`), without orders."""
    part = account.parts[market]
    if not account.liquidatable or not part.size:
        return 0
    value = abs(part.value)
    if value <= _WHOLE_BELOW or account.account_value < truncated_div(account.requirement, 2):
        return part.size
    ratio = account.absolute_value * RATIO // (value * 2)
    if ratio > _MOST_UINT24:
        raise Refused(
            RefusalCode.UNSUPPORTED, "the position is so small beside the others that the contract cannot size it"
        )
    return mul_ratio(part.size, min(ratio, RATIO))


def liquidate(account: AccountValue, market: int, size: int) -> SliceLiquidation:
    """`ClearingHouse.liquidate` of a signed size that is within `most_size`, of an account without orders.

    Raises Refused("unpriced").
    """
    parameters, unit = account.view.parameters, account.unit
    notional = mul_div(size, account.view.market(market).mark_price, WAD)
    penalty = mul_ratio(abs(notional), parameters.penalty_ratio)
    bankrupt = account.account_value < 0
    to_liquidator = penalty if bankrupt else penalty // 2
    after = exchanged(settled(account, market), market, -size, notional)
    after = replace(after, owed=after.owed - penalty)
    left = replace(account, holdings=after)
    after, bad_debt = settle_bad_debt(left)
    return SliceLiquidation(
        size, notional, penalty, to_liquidator, penalty - to_liquidator, after, left.account_value, bad_debt * unit
    )


def settle_bad_debt(account: AccountValue) -> tuple[CurieHoldings, int]:
    """(holdings after, settlement token units that the insurance fund takes over) (`Vault.settleBadDebt`)."""
    holdings = account.holdings
    if holdings.markets or holdings.has_collateral:
        return holdings, 0
    value = (account.settlement_balance + account.unrealized) // account.unit
    if value >= 0:
        return holdings, 0
    balances: Mapping[int, int] = {SETTLEMENT: holdings.balances.get(SETTLEMENT, 0) - value}
    return replace(holdings, balances=balances), -value


def fund_capacity(fund: AccountValue, added: int) -> int:
    """`InsuranceFund.getInsuranceFundCapacity` once `added` dollars (1e18) were credited to it, in 1e18."""
    value = (fund.settlement_balance + fund.unrealized + added) // fund.unit
    return (value + fund.view.parameters.fund_wallet) * fund.unit


@dataclass(frozen=True, slots=True)
class CurieSeizure:
    """Settlement token units paid, collateral units got. `bad_debt` in settlement token units."""

    paid: int
    collateral: int
    to_fund: int
    after: CurieHoldings
    bad_debt: int


def discounted_price(account: AccountValue, token: int) -> tuple[int, int]:
    """(price, its decimals) that a liquidator pays."""
    price, decimals = account.view.collateral_price(token)
    return mul_ratio(price, RATIO - account.view.readings.collaterals[token].discount), decimals


def collateral_for(account: AccountValue, token: CurieToken, paid_wad: int) -> int:
    """`Vault._getCollateralBySettlement` at the discounted price."""
    price, decimals = discounted_price(account, token.id)
    if not price:
        raise Refused(RefusalCode.UNPRICED, f"the price of {token.symbol} is zero")
    return int(mul_div_ceil(paid_wad, 10**decimals, price) // 10 ** (18 - token.decimals))


def most_repaid(account: AccountValue, token: CurieToken) -> tuple[int, int]:
    """(settlement token units, collateral units) (`Vault.getMaxRepaidSettlementAndLiquidatableCollateral`)."""
    parameters = account.view.parameters
    debt = max(account.settlement_debt, mul_ratio(account.debt, parameters.im_ratio))
    if debt > parameters.dust * account.unit:
        debt = mul_ratio(debt, parameters.liquidation_ratio)
    paid = div_ratio(debt, RATIO - parameters.fund_fee_ratio)
    collateral = collateral_for(account, token, paid)
    balance = account.holdings.balances.get(token.id, 0)
    if collateral > balance:
        collateral = balance
        price, decimals = discounted_price(account, token.id)
        paid = balance * 10 ** (18 - token.decimals) * price // 10**decimals
    return paid // account.unit, collateral


def seize(account: AccountValue, token: CurieToken, paid: int) -> CurieSeizure:
    """Pay so many units, at most `most_repaid`. Raises Refused("unpriced")."""
    limit, whole = most_repaid(account, token)
    collateral = whole if paid == limit else collateral_for(account, token, paid * account.unit)
    held = account.holdings.balances.get(token.id, 0)
    if collateral > held:
        raise Refused(RefusalCode.UNSUPPORTED, f"rounding asks for more {token.symbol} than the account holds")
    to_fund = mul_ratio(paid, account.view.parameters.fund_fee_ratio)
    balances = {**account.holdings.balances, token.id: held - collateral}
    balances[SETTLEMENT] = balances.get(SETTLEMENT, 0) + paid - to_fund
    after = replace(account.holdings, balances={key: units for key, units in balances.items() if units})
    settled, bad_debt = settle_bad_debt(replace(account, holdings=after))
    return CurieSeizure(paid, collateral, to_fund, settled, bad_debt)
