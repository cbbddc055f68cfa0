"""What `Pool.liquidationCall` does to one account, predicted in integers: LiquidationLogic.sol of both versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from keeper.defi.fixed_point import (
    mul_div_ceil,
    percent_div,
    percent_div_ceil,
    percent_mul,
)
from keeper.errors import Refused
from keeper.model.health import WAD, Health
from keeper.model.refusal import RefusalCode
from keeper.protocols.aave_v3.health import AaveMarket, health_of
from keeper.protocols.aave_v3.state import AaveHoldings, Debt, Reserve, Supply

CLOSE_FACTOR = 5_000  # bps of a debt, above the threshold
CLOSE_FACTOR_HEALTH = 95 * WAD // 100
WHOLE_BELOW = 2_000 * 10**8  # base currency: smaller positions may be taken whole (3.6)
LEAST_LEFT = WHOLE_BELOW // 2


@dataclass(frozen=True, slots=True)
class PairOutcome:
    """A liquidation that does not revert. Units of the two assets; `fee` is the protocol's, beside `seized`.

    `written_off`: reserve -> units of debt that nobody will pay (3.6).
    """

    covered: int
    seized: int
    fee: int
    after: AaveHoldings
    written_off: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """One collateral and one debt of an account that is liquidatable, at one time. It remembers what it was asked: the
    same offers are looked at for every route."""

    market: AaveMarket
    holdings: AaveHoldings
    before: Health
    collateral: Reserve
    debt: Reserve
    _amounts: dict[int, tuple[int, int, int]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _outcomes: dict[int, PairOutcome | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def refusal(self) -> Refused | None:
        """Why the pool takes no liquidation of this pair now; None when it does."""
        why = self._hold()
        return Refused(RefusalCode.HOLD, why) if why else None

    def _hold(self) -> str:
        data = [self.market.data(reserve.index) for reserve in (self.collateral, self.debt)]
        names = f"{self.collateral.symbol} or {self.debt.symbol}"
        if not all(item.configuration.active for item in data):
            return f"{names} is inactive"
        if any(item.configuration.paused for item in data):
            return f"{names} is paused"
        if self.before.health_wad >= CLOSE_FACTOR_HEALTH and not self.market.readings.allowed:
            return "the price oracle's sentinel allows no liquidations yet"
        if any(item.grace_until >= self.market.timestamp for item in data):
            return f"{names} is in its grace period"
        return ""

    @property
    def modern(self) -> bool:
        return self.market.readings.version.modern

    @cached_property
    def bonus(self) -> int:
        return self.market.terms(self.collateral, self.holdings.category).bonus

    @cached_property
    def prices(self) -> tuple[int, int]:
        """Of collateral and debt. 3.0.2 takes an eMode's own price for any debt of an account in it."""
        collateral = self.market.terms(self.collateral, self.holdings.category).price
        debt = self.market.terms(self.debt, self.holdings.category).price
        category = self.market.readings.categories.get(self.holdings.category)
        if not self.modern and category and self.market.state.categories.get(self.holdings.category):
            if not category.price:
                raise Refused(
                    RefusalCode.UNPRICED, f"the oracle has no price of eMode category {self.holdings.category}"
                )
            debt = category.price
        return collateral, debt

    @cached_property
    def units(self) -> tuple[int, int]:
        found = (self.market.data(reserve.index).configuration.unit for reserve in (self.collateral, self.debt))
        return next(found), next(found)

    @property
    def supply(self) -> Supply:
        return self.holdings.supplies[self.collateral.index]

    @property
    def owing(self) -> Debt:
        return self.holdings.debts[self.debt.index]

    @cached_property
    def balance(self) -> int:
        """Units of the collateral."""
        return self.market.supplied(self.collateral.index, self.supply.scaled)

    @cached_property
    def owed(self) -> int:
        """Units of the debt."""
        return self.market.owed(self.debt.index, self.owing)

    @cached_property
    def most(self) -> int:
        """The most debt that one liquidation covers: the close factor's rule, before the collateral's."""
        careful = self.before.health_wad > CLOSE_FACTOR_HEALTH
        if not self.modern:
            return percent_mul(self.owed, CLOSE_FACTOR) if careful else self.owed
        (collateral_price, debt_price), (collateral_unit, debt_unit) = self.prices, self.units
        owed_value = mul_div_ceil(self.owed, debt_price, debt_unit)
        large = min(self.balance * collateral_price // collateral_unit, owed_value) >= WHOLE_BELOW
        half = percent_mul(int(self.before.views["totalDebtBase"]), CLOSE_FACTOR)
        if large and careful and owed_value > half:
            return half * debt_unit // debt_price
        return self.owed

    def amounts(self, offer: int) -> tuple[int, int, int]:
        """(debt covered, collateral taken in all, protocol's part of it) for an offer of debt units."""
        if offer not in self._amounts:
            self._amounts[offer] = self._amounts_of(offer)
        return self._amounts[offer]

    def _amounts_of(self, offer: int) -> tuple[int, int, int]:
        (collateral_price, debt_price), (collateral_unit, debt_unit) = self.prices, self.units
        offer = min(offer, self.most)
        base = debt_price * offer * collateral_unit // (collateral_price * debt_unit)
        taken, covered = percent_mul(base, self.bonus), offer
        if taken > self.balance:
            divide = percent_div_ceil if self.modern else percent_div
            taken = self.balance
            covered = divide(collateral_price * taken * debt_unit // (debt_price * collateral_unit), self.bonus)
        fee_bps = self.market.data(self.collateral.index).configuration.protocol_fee
        fee = percent_mul(taken - percent_div(taken, self.bonus), fee_bps) if fee_bps else 0
        return covered, taken, fee

    def leaves_dust(self, covered: int, taken: int, fall_bps: int = 0) -> bool:
        """Whether 3.6 refuses it: neither all debt nor all collateral, and too little of one left.

        fall_bps: or would, if the collateral had lost so much of its value by then.
        """
        if not self.modern or covered >= self.owed or taken >= self.balance:
            return False
        (collateral_price, debt_price), (collateral_unit, debt_unit) = self.prices, self.units
        debt = mul_div_ceil(self.owed - covered, debt_price, debt_unit)
        lost = self.balance * fall_bps // 10_000
        collateral = (self.balance - taken - lost) * collateral_price // collateral_unit
        return min(debt, collateral) < LEAST_LEFT

    def outcome(self, offer: int, dust_allowed: bool = False) -> PairOutcome | None:
        """The outcome of an offer of debt units; None when the pool reverts. Raises Refused("unpriced")."""
        if not all(self.prices) or not self.bonus:
            return None
        covered, taken, _ = self.amounts(offer)
        if not covered or covered > self.owed or (not dust_allowed and self.leaves_dust(covered, taken)):
            return None
        if offer not in self._outcomes:
            self._outcomes[offer] = self._outcome(*self.amounts(offer))
        return self._outcomes[offer]

    def _outcome(self, covered: int, taken: int, fee: int) -> PairOutcome | None:
        cleared = self.modern and self._clears(taken)
        debt = self._debt_after(covered, cleared)
        supply = self._supply_after(taken, fee)
        if debt is None or supply is None:
            return None
        holdings = replace(
            self.holdings,
            supplies={**self.holdings.supplies, self.collateral.index: supply},
            debts={**self.holdings.debts, self.debt.index: debt},
        )
        if not cleared:
            return PairOutcome(covered, taken - fee, fee, holdings)
        written_off = {self.debt.index: self.owed - covered} if self.owed > covered else {}
        return self._written_off(PairOutcome(covered, taken - fee, fee, holdings, written_off))

    def _clears(self, taken: int) -> bool:
        """Whether all collateral of the account goes, by value: its other debts are then written off."""
        value = taken * self.prices[0] // self.units[0]
        return value == self.before.views["totalCollateralBase"]

    def _supply_after(self, taken: int, fee: int) -> Supply | None:
        version, index = self.market.readings.version, self.market.supply_index(self.collateral.index)
        burnt = version.supply_burnt(taken - fee, index)
        left = self.supply.scaled - burnt
        if not burnt or left < 0:
            return None
        if fee:
            left -= min(version.supply_moved(fee, index), left)
        return Supply(left, taken != self.balance)

    def _debt_after(self, covered: int, cleared: bool) -> Debt | None:
        version, index = self.market.readings.version, self.market.debt_index(self.debt.index)
        if self.modern:
            burnt = version.debt_burnt(self.owed if cleared else covered, index)
            left = self.owing.scaled - burnt
            return Debt(left, borrowing=left != 0) if burnt and left >= 0 else None
        variable = self.market.variable(self.debt.index, self.owing)
        borrowing = covered != self.owed
        from_variable = min(covered, variable)
        burnt = version.debt_burnt(from_variable, index)
        left = self.owing.scaled - burnt
        if (from_variable and not burnt) or left < 0:
            return None
        if covered <= variable:
            return replace(self.owing, scaled=left, borrowing=borrowing)
        return replace(self._stable_after(covered - variable), scaled=left, borrowing=borrowing)

    def _stable_after(self, amount: int) -> Debt:
        """`StableDebtToken.burn`: interest becomes principal, then the amount is taken off."""
        current = self.market.stable(self.owing)
        if amount == current:
            return replace(self.owing, principal=0, rate=0, since=0)
        return replace(self.owing, principal=current - amount, since=self.market.timestamp)

    def _written_off(self, outcome: PairOutcome) -> PairOutcome:
        """`_burnBadDebt`: what is owed of other active reserves goes, too."""
        debts, written_off = dict(outcome.after.debts), dict(outcome.written_off)
        for index, debt in self.holdings.debts.items():
            listed = index in self.market.readings.reserves
            if index == self.debt.index or not debt.borrowing or not listed:
                continue
            if not self.market.data(index).configuration.active:
                continue
            if units := self.market.owed(index, debt):
                written_off[index] = units
            debts[index] = Debt(0, borrowing=False)
        return replace(outcome, after=replace(outcome.after, debts=debts), written_off=written_off)

    def health_after(self, outcome: PairOutcome) -> Health:
        return health_of(self.market, outcome.after)


def pairs(market: AaveMarket, holdings: AaveHoldings, before: Health) -> list[Pair]:
    """Every collateral with every debt that the pool would take together."""
    flagged = market.flagged(holdings)
    modern = market.readings.version.modern
    collaterals = [
        reserve
        for reserve in flagged
        if (supply := holdings.supplies.get(reserve.index))
        and supply.collateral
        and supply.scaled
        and (modern or market.data(reserve.index).configuration.threshold)
    ]
    debts = [
        reserve
        for reserve in flagged
        if (debt := holdings.debts.get(reserve.index)) and (debt.scaled or debt.principal)
    ]
    return [Pair(market, holdings, before, collateral, debt) for collateral in collaterals for debt in debts]
