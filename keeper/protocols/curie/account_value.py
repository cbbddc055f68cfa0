"""An account's value, requirement, debt and free collateral at one time, in the contracts' integers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from keeper.defi.fixed_point import UINT256_MAX, Rounding, truncated_div
from keeper.defi.swap_math import amount0_between, amounts_for_liquidity
from keeper.defi.tick_math import Q96, sqrt_price_at_tick
from keeper.errors import Refused
from keeper.model.refusal import RefusalCode
from keeper.protocols.curie.rounding import mul_div, mul_ratio
from keeper.protocols.curie.state import SETTLEMENT, CurieHoldings, CuriePosition, Order
from keeper.protocols.curie.view import CurieView, Growth, MarketView

DUST = 10  # wei of a position that count as none (AccountBalance._DUST)
_DAY_S = 86_400
_Q128 = 1 << 128
_NOTHING = CuriePosition(0, 0)


@dataclass(frozen=True, slots=True)
class InMarket:
    """An account's position and orders in one market. Dollars in 1e18, signed."""

    market: int
    taker_size: int
    size: int  # of taker and maker together, without dust
    value: int  # of `size`
    net_quote: int
    base: int  # balance, below zero a debt
    quote: int
    fee: int  # a maker's, not yet collected
    funding: int  # due, positive is owed
    price: int  # 0 where nothing has to be valued


def in_market(view: CurieView, market: int, position: CuriePosition, orders: tuple[Order, ...]) -> InMarket:
    """Raises Refused("unpriced")."""
    at = view.market(market)
    own = [_in_pool(at, order) for order in orders]
    base_debt, quote_debt = (sum(getattr(order, name) for order in orders) for name in ("base_debt", "quote_debt"))
    taker = position.size
    size = sum(base for base, _, _ in own) - base_debt + taker
    size = 0 if abs(size) < DUST else size
    base = taker - base_debt
    coefficient = sum(_funding_of(at, order) for order in orders)
    due = coefficient + mul_div(base, at.growth.premium - position.premium, Q96)
    price = at.reference_price if size or base < 0 else 0  # as the contracts: no price is asked for nothing
    return InMarket(
        market=market,
        taker_size=taker,
        size=size,
        value=mul_div(size, price, 10**18),
        net_quote=position.notional + sum(quote for _, quote, _ in own) - quote_debt,
        base=base,
        quote=position.notional - quote_debt,
        fee=sum(fee for _, _, fee in own),
        funding=truncated_div(due, _DAY_S),
        price=price,
    )


def _in_pool(at: MarketView, order: Order) -> tuple[int, int, int]:
    """(base, quote, fee not yet collected) of an order (`OrderBook._getTotalTokenAmountInPool`)."""
    lower, upper = sqrt_price_at_tick(order.range.lower), sqrt_price_at_tick(order.range.upper)
    base, quote = amounts_for_liquidity(at.reading.sqrt_price, lower, upper, order.liquidity, Rounding.DOWN)
    return base, quote, pending_fee(at, order)


def pending_fee(at: MarketView, order: Order) -> int:
    inside, _ = _inside(at, order, at.reading.fee_growth, 0)
    return ((inside - order.fee_growth) & UINT256_MAX) * order.liquidity // _Q128


def _inside(at: MarketView, order: Order, total: int, which: int) -> tuple[int, int]:
    """(growth inside of an order's range, growth below it), wrapping as Solidity's unchecked words do.

    which: 0 fees, 1 premium, 2 premium divided by price.
    """
    lower, upper = (at.reading.outside.get(tick) for tick in (order.range.lower, order.range.upper))
    if lower is None or upper is None:
        raise Refused(RefusalCode.UNSUPPORTED, f"the ticks of an order in {at.market.symbol} were not read")
    below = lower[which] if at.reading.tick >= order.range.lower else total - lower[which]
    above = upper[which] if at.reading.tick < order.range.upper else total - upper[which]
    return total - below - above, below


def _funding_of(at: MarketView, order: Order) -> int:
    """`Funding.calcLiquidityCoefficientInFundingPaymentByOrder`."""
    growth: Growth = at.growth
    inside, below = _inside(at, order, growth.premium, 1)
    divided, _ = _inside(at, order, growth.divided, 2)
    lower, upper = sqrt_price_at_tick(order.range.lower), sqrt_price_at_tick(order.range.upper)
    base_below = amount0_between(lower, upper, order.liquidity)
    from_below = base_below * (below - order.below)
    from_inside = order.liquidity * (divided - order.divided - mul_div(inside - order.inside, Q96, upper))
    return truncated_div(from_below + from_inside, Q96)


@dataclass(frozen=True)
class AccountValue:
    """One account at one time. Dollars in 1e18 unless said."""

    view: CurieView
    holdings: CurieHoldings
    unit: int  # dollars in 1e18 for a unit of the settlement token

    @cached_property
    def parts(self) -> dict[int, InMarket]:
        """By market."""
        orders: dict[int, tuple[Order, ...]] = {}
        for order in self.holdings.orders:
            orders[order.range.market] = (*orders.get(order.range.market, ()), order)
        markets = sorted({*self.holdings.positions, *orders})
        positions = self.holdings.positions
        return {m: in_market(self.view, m, positions.get(m, _NOTHING), orders.get(m, ())) for m in markets}

    @cached_property
    def settlement_balance(self) -> int:
        """`Vault._getSettlementTokenBalanceAndUnrealizedPnl`."""
        balance = self.holdings.balances.get(SETTLEMENT, 0) * self.unit
        return balance + sum(part.fee - part.funding for part in self.parts.values()) + self.holdings.owed

    @cached_property
    def unrealized(self) -> int:
        return sum(part.value + part.net_quote for part in self.parts.values())

    @cached_property
    def collaterals(self) -> int:
        """Other tokens than the settlement token, at their weights (`Vault._getNonSettlementTokenValue`)."""
        return sum(self._weighted(token, amount) for token, amount in self._others())

    def _others(self) -> Iterator[tuple[int, int]]:
        return ((token, amount) for token, amount in self.holdings.balances.items() if token != SETTLEMENT)

    def _weighted(self, token: int, amount: int) -> int:
        if token not in self.view.readings.collaterals:
            raise Refused(RefusalCode.UNSUPPORTED, f"collateral {self.view.state.tokens[token].symbol} was not read")
        return mul_ratio(self.collateral_value(token, amount), self.view.readings.collaterals[token].ratio)

    def collateral_value(self, token: int, amount: int) -> int:
        """`Vault._getSettlementByCollateral` at the Vault's price."""
        price, decimals = self.view.collateral_price(token)
        return int(amount * 10 ** (18 - self.view.state.tokens[token].decimals) * price // 10**decimals)

    @cached_property
    def total_collateral(self) -> int:
        return self.collaterals + self.settlement_balance

    @cached_property
    def exact_value(self) -> int:
        """Account value before it is cut to the settlement token's decimals."""
        return self.total_collateral + self.unrealized

    @cached_property
    def account_value(self) -> int:
        """`ClearingHouse.getAccountValue`."""
        return self.exact_value // self.unit * self.unit

    @cached_property
    def absolute_value(self) -> int:
        """`AccountBalance.getTotalAbsPositionValue`."""
        return sum(abs(part.value) for part in self.parts.values())

    @cached_property
    def requirement(self) -> int:
        """`AccountBalance.getMarginRequirementForLiquidation`."""
        return mul_ratio(self.absolute_value, self.view.parameters.mm_ratio)

    @cached_property
    def debt(self) -> int:
        """`AccountBalance.getTotalDebtValue`."""
        base = sum(mul_div(part.base, part.price, 10**18) for part in self.parts.values() if part.base < 0)
        quote = min(0, sum(part.quote for part in self.parts.values()))
        return abs(quote + base)

    def free_collateral(self, ratio: int) -> int:
        """`Vault.getFreeCollateralByRatio`, in settlement token units."""
        return (min(self.total_collateral, self.exact_value) - mul_ratio(self.debt, ratio)) // self.unit

    @cached_property
    def liquidatable(self) -> bool:
        """`ClearingHouse._isLiquidatable`."""
        return self.account_value < self.requirement

    # The Vault's test.

    @cached_property
    def settlement_debt(self) -> int:
        return max(0, -(self.settlement_balance + self.unrealized))

    @cached_property
    def collateral_requirement(self) -> int:
        ratio = self.view.parameters.mm_ratio + self.view.parameters.mm_buffer
        return mul_ratio(self.absolute_value, ratio)

    @cached_property
    def most_debt(self) -> tuple[int, int]:
        """Settlement debt that is allowed: by the collaterals in 1e18, and in settlement token units."""
        parameters = self.view.parameters
        own = self.holdings.debt_threshold or parameters.debt_threshold
        return mul_ratio(self.collaterals, parameters.debt_ratio), own

    @cached_property
    def seizable(self) -> bool:
        """`Vault.isLiquidatable`."""
        if not self.holdings.has_collateral:
            return False
        if self.exact_value < self.collateral_requirement:
            return True
        by_collateral, by_threshold = self.most_debt
        return self.settlement_debt > by_collateral or self.settlement_debt // self.unit > by_threshold
