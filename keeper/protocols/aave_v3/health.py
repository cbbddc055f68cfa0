"""Health in exact integers at any time: `GenericLogic.calculateUserAccountData` of both versions.

Values are in the base currency (1e8 dollars) unless said; `Health` has them in 1e18 dollars.
"""

from collections.abc import Callable
from dataclasses import dataclass

from keeper.defi.fixed_point import PERCENT, mul_div_ceil, percent_mul, percent_mul_floor, ray_mul, wad_div
from keeper.errors import Refused
from keeper.model.health import INFINITE_HEALTH, WAD, Health
from keeper.model.refusal import RefusalCode
from keeper.protocols.aave_v3.rates import compounded
from keeper.protocols.aave_v3.reads import AaveReadings, Category, ReserveData, Terms
from keeper.protocols.aave_v3.state import AaveHoldings, AaveState, Debt, Reserve

_NO_CATEGORY = Category(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over an account's reserves. `weighted` and `lent`: collateral times threshold and ltv, in bps."""

    collateral: int
    weighted: int
    lent: int
    debt: int


@dataclass(frozen=True, slots=True)
class AaveMarket:
    """The pool at one time."""

    state: AaveState
    readings: AaveReadings
    timestamp: int

    def data(self, index: int) -> ReserveData:
        return self.readings.reserves[index]

    def supply_index(self, index: int) -> int:
        return self._once(index, 0, self.data(index).income)

    def debt_index(self, index: int) -> int:
        return self._once(index, 1, lambda timestamp: self.data(index).debt(self.readings.version, timestamp))

    def _once(self, index: int, kind: int, compute: Callable[[int], int]) -> int:
        key, scratch = (index, kind, self.timestamp), self.readings.scratch
        if key not in scratch:
            scratch[key] = compute(self.timestamp)
        return scratch[key]

    def supplied(self, index: int, scaled: int) -> int:
        """Units of the asset that scaled aTokens stand for."""
        return self.readings.version.supply_units(scaled, self.supply_index(index))

    def variable(self, index: int, debt: Debt) -> int:
        """Units owed at the variable rate."""
        return self.readings.version.debt_units(debt.scaled, self.debt_index(index)) if debt.scaled else 0

    def stable(self, debt: Debt) -> int:
        """Units owed at a stable rate."""
        if not debt.principal:
            return 0
        grown = compounded(self.readings.version, debt.rate, self.timestamp - debt.since)
        return ray_mul(debt.principal, grown)

    def owed(self, index: int, debt: Debt) -> int:
        return self.variable(index, debt) + self.stable(debt)

    def supply_value(self, index: int, units: int, price: int) -> int:
        return units * price // self.data(index).configuration.unit

    def debt_value(self, index: int, units: int, price: int) -> int:
        unit = self.data(index).configuration.unit
        return mul_div_ceil(units, price, unit) if self.readings.version.modern else units * price // unit

    def terms(self, reserve: Reserve, category_id: int) -> Terms:
        """Raises Refused("unpriced")."""
        key = reserve.index, category_id
        if key not in self.readings.terms:
            self.readings.terms[key] = self._terms(reserve, category_id)
        return self.readings.terms[key]

    def _terms(self, reserve: Reserve, category_id: int) -> Terms:
        own = self.data(reserve.index).configuration
        category = self._category(category_id)
        if self.readings.version.modern:
            inside = bool(category_id) and bool(category.collateral >> reserve.id & 1)
            zero = inside and bool(category.ltv_zero >> reserve.id & 1)
            price = self.readings.price(reserve.asset, reserve.symbol)
            ltv = 0 if zero else category.ltv if inside else own.ltv
        else:
            inside = bool(category_id) and own.category == category_id
            shared = category.price if inside else 0
            price = shared or self.readings.price(reserve.asset, reserve.symbol)
            # A reserve that lends nothing by itself lends nothing in an eMode either.
            ltv = category.ltv if inside and own.ltv else own.ltv
        if inside:
            return Terms(price, ltv, category.threshold, category.bonus)
        return Terms(price, ltv, own.threshold, own.bonus)

    def _category(self, id_: int) -> Category:
        category = self.readings.categories.get(id_, _NO_CATEGORY)
        if category.price is None:
            raise Refused(RefusalCode.UNPRICED, f"the oracle has no price of eMode category {id_}")
        return category

    def flagged(self, holdings: AaveHoldings) -> list[Reserve]:
        """The reserves that count for an account."""
        supplies = {index for index, supply in holdings.supplies.items() if supply.collateral}
        debts = {index for index, debt in holdings.debts.items() if debt.borrowing}
        return [self.state.reserves[index] for index in sorted(supplies | debts) if index in self.readings.reserves]


def totals(market: AaveMarket, holdings: AaveHoldings) -> Totals:
    """Raises Refused("unpriced")."""
    collateral = weighted = lent = owed = 0
    modern = market.readings.version.modern
    for reserve in market.flagged(holdings):
        index = reserve.index
        terms = market.terms(reserve, holdings.category)
        supply, debt = holdings.supplies.get(index), holdings.debts.get(index)
        # 3.0.2 looks at the reserve's own threshold, whatever the eMode's.
        counts = modern or market.data(index).configuration.threshold != 0
        if supply and supply.collateral and counts:
            value = market.supply_value(index, market.supplied(index, supply.scaled), terms.price)
            collateral += value
            weighted += value * terms.threshold
            lent += value * terms.ltv
        if debt and debt.borrowing:
            owed += market.debt_value(index, market.owed(index, debt), terms.price)
    return Totals(collateral, weighted, lent, owed)


def health_of(market: AaveMarket, holdings: AaveHoldings) -> Health:
    """Raises Refused("unpriced") where the contract's own view would revert."""
    found = totals(market, holdings)
    average = found.weighted // found.collateral if found.collateral else 0
    ltv = found.lent // found.collateral if found.collateral else 0
    if market.readings.version.modern:
        counted = found.weighted  # bps of the base currency
        factor = wad_div(counted, found.debt) // PERCENT if found.debt else INFINITE_HEALTH
        limit = percent_mul_floor(found.collateral, ltv)
    else:
        counted = percent_mul(found.collateral, average) * PERCENT
        factor = wad_div(counted // PERCENT, found.debt) if found.debt else INFINITE_HEALTH
        limit = percent_mul(found.collateral, ltv)
    return Health(
        equity=counted * WAD // (PERCENT * market.readings.unit),
        requirement=found.debt * WAD // market.readings.unit,
        liquidatable=factor < WAD and found.collateral > 0,  # with nothing to seize there is nothing to do
        health_wad=factor,
        views={
            "totalCollateralBase": found.collateral,
            "totalDebtBase": found.debt,
            "availableBorrowsBase": max(limit - found.debt, 0),
            "currentLiquidationThreshold": average,
            "ltv": ltv,
            "healthFactor": factor,
        },
    )
