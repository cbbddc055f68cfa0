"""`MarginEngine.liquidate` and `seizeCollateral` in exact integers: the account after, and the reward."""

from dataclasses import dataclass, replace

from keeper.model.health import WAD
from keeper.protocols.margin_engine.health import (
    collateral_worth,
    equity_requirement,
    funding_index,
    maintenance,
    market_price,
    rules_of,
)
from keeper.protocols.margin_engine.prices import price_of
from keeper.protocols.margin_engine.reads import EngineReadings
from keeper.protocols.margin_engine.rounding import div_trunc, div_up, mul_ceil, mul_down, mul_floor, mul_up
from keeper.protocols.margin_engine.state import SETTLEMENT, EngineHoldings, EngineMarket, EnginePosition, EngineState

DUST_WAD = WAD  # `MarginEngine.DUST`


@dataclass(frozen=True, slots=True)
class EngineLiquidation:
    """One simulated `liquidate`. Dollars in 1e18, the reward in settlement token units."""

    state: EngineState
    holdings: EngineHoldings
    size: int
    notional: int
    penalty: int
    reward: int
    equity: int  # after, before bad debt is written off
    requirement: int  # after
    bad_debt: int


@dataclass(frozen=True, slots=True)
class EngineSeizure:
    """One simulated `seizeCollateral`. `amount` in units of the collateral, `repaid` in settlement token units."""

    state: EngineState
    holdings: EngineHoldings
    amount: int
    repaid: int
    bad_debt: int


@dataclass(frozen=True, slots=True)
class ClosingOutcome:
    """The account after closing one size, for sizing to compare. Dollars in 1e18."""

    size: int
    notional: int
    penalty: int
    reward: int
    fund_part: int
    realised: int
    left: EnginePosition
    equity: int  # after
    requirement: int  # after
    judged: int  # the requirement that the engine judges over-liquidation by


@dataclass(frozen=True, slots=True)
class Closing:
    """One position of one account at one timestamp, with everything that does not depend on the size computed once."""

    state: EngineState
    holdings: EngineHoldings
    market: EngineMarket  # funding accrued
    price: int
    position: EnginePosition
    equity: int
    requirement: int
    other_equity: int  # of everything but this position and the settlement balance
    other_requirement: int
    collateral: tuple[int, bool]  # as `collateral_worth`

    @classmethod
    def of(
        cls, state: EngineState, readings: EngineReadings, holdings: EngineHoldings, market_id: int, timestamp: int
    ) -> "Closing":
        """Raises Refused("unpriced") when the engine would revert for want of a price."""
        market = state.markets[market_id]
        price = market_price(market, readings, timestamp)
        market = replace(market, funding_index=funding_index(market, price, timestamp), funding_time=timestamp)
        position = holdings.position(market_id)
        equity, requirement = equity_requirement(state, readings, holdings, timestamp)
        own_equity, own_requirement = _position_health(market, price, position)
        return cls(
            state,
            holdings,
            market,
            price,
            position,
            equity,
            requirement,
            equity - own_equity - holdings.settlement,
            requirement - own_requirement,
            collateral_worth(state, readings, holdings),
        )

    def outcome(self, size: int) -> ClosingOutcome:
        """Close `size` at the index price (`MarginEngine.liquidate`)."""
        left, realised = _close(self.market, self.position, size, self.price)
        notional = mul_up(size, self.price)
        penalty, reward, fund_part = _penalty(self.state, self.market, notional, self.equity)
        own_equity, own_requirement = _position_health(self.market, self.price, left)
        requirement = self.other_requirement + own_requirement
        judged = requirement
        if not left.size:
            judged += maintenance(self.market.brackets, rules_of(self.market).min_notional)
        equity = self.other_equity + own_equity + self.holdings.settlement + realised - penalty
        return ClosingOutcome(size, notional, penalty, reward, fund_part, realised, left, equity, requirement, judged)

    def settle(self, outcome: ClosingOutcome) -> EngineLiquidation:
        """The account and the engine after an outcome."""
        before, id_ = self.state, self.market.id
        market = _counted(self.market, self.position.size, outcome.left.size)
        state = replace(
            before,
            markets=(*before.markets[:id_], market, *before.markets[id_ + 1 :]),
            pool=before.pool - outcome.realised,
            insurance_fund=before.insurance_fund + outcome.fund_part,
        )
        positions = ((held_id, outcome.left if held_id == id_ else held) for held_id, held in self.holdings.positions)
        holdings = EngineHoldings(
            self.holdings.settlement + outcome.realised - outcome.penalty,
            self.holdings.collaterals,
            tuple((held_id, held) for held_id, held in positions if held.size != 0),
        )
        state, holdings, bad_debt = _write_off(state, holdings, self.collateral)
        return EngineLiquidation(
            state=state,
            holdings=holdings,
            size=outcome.size,
            notional=outcome.notional,
            penalty=outcome.penalty,
            reward=outcome.reward,
            equity=outcome.equity,
            requirement=outcome.requirement,
            bad_debt=bad_debt,
        )


def _position_health(market: EngineMarket, price: int, position: EnginePosition) -> tuple[int, int]:
    """(equity, requirement) of a position whose market has accrued its funding."""
    size = position.size
    if size == 0:
        return 0, 0
    funding = mul_ceil(size, market.funding_index - position.funding)
    equity = mul_floor(size, price) - position.cost - funding
    return equity, maintenance(market.brackets, mul_up(abs(size), price))


def _close(market: EngineMarket, position: EnginePosition, size: int, price: int) -> tuple[EnginePosition, int]:
    """(what is left, realised dollars) of closing part or all (`MarginEngine._changePosition`)."""
    funding = mul_ceil(position.size, market.funding_index - position.funding)
    closed = size if position.size > 0 else -size
    cost_closed = div_trunc(position.cost * closed, position.size)
    realised = -funding + mul_floor(closed, price) - cost_closed
    if closed == position.size:
        return EnginePosition(0, 0, 0), realised
    return EnginePosition(position.size - closed, position.cost - cost_closed, market.funding_index), realised


def _penalty(state: EngineState, market: EngineMarket, notional: int, equity: int) -> tuple[int, int, int]:
    """(taken from the account, reward units, the insurance fund's part) (`MarginEngine._takePenalty`)."""
    rules = rules_of(market)
    scale = state.collaterals[SETTLEMENT].scale
    penalty = mul_up(notional, rules.penalty)
    reward = mul_down(penalty, rules.keeper_share) // scale
    keeper_part = reward * scale
    fund_part = min(penalty - keeper_part, max(0, equity - keeper_part))
    return keeper_part + fund_part, reward, fund_part


def _counted(market: EngineMarket, before: int, after: int) -> EngineMarket:
    """Open interest after a position went from one size to another of the same sign, or to none."""
    change = abs(after) - abs(before)
    if before > 0:
        return replace(market, long_size=market.long_size + change)
    return replace(market, short_size=market.short_size + change)


def _write_off(
    state: EngineState, holdings: EngineHoldings, collateral: tuple[int, bool]
) -> tuple[EngineState, EngineHoldings, int]:
    """Writes off the debt of an account without positions, and takes its dust (`MarginEngine._settleBadDebt`).

    collateral: as `collateral_worth` of these holdings.
    """
    debt = -holdings.settlement
    worth, known = collateral
    if debt <= 0 or holdings.positions:
        return state, holdings, 0
    if holdings.collaterals and (not known or worth >= DUST_WAD or worth >= debt):
        return state, holdings, 0
    from_fund = min(debt, state.insurance_fund)
    state = replace(state, insurance_fund=state.insurance_fund - from_fund, pool=state.pool - (debt - from_fund))
    return state, EngineHoldings(0), debt


def simulate_seizure(
    state: EngineState, readings: EngineReadings, holdings: EngineHoldings, id_: int, repay: int, timestamp: int
) -> EngineSeizure:
    """Sell collateral for at most `repay` settlement token units. Raises Refused("unpriced")."""
    collateral = state.collaterals[id_]
    price = price_of(readings, collateral.source, timestamp)
    balance = holdings.collateral(id_)
    settlement_scale = state.collaterals[SETTLEMENT].scale
    settlement_unit = settlement_scale * 10**36
    unit_price = price * (WAD - collateral.discount) * collateral.scale  # dollars, in 1e54, for one unit
    repaid = min(repay, max(div_up(-holdings.settlement, settlement_scale), div_up(unit_price, settlement_unit)))
    amount = repaid * settlement_unit // unit_price
    if amount >= balance:
        amount = balance
        repaid = div_up(balance * unit_price, settlement_unit)
    collaterals = tuple((held, units - amount if held == id_ else units) for held, units in holdings.collaterals)
    after = EngineHoldings(
        holdings.settlement + repaid * settlement_scale,
        tuple((held, units) for held, units in collaterals if units),
        holdings.positions,
    )
    state, after, bad_debt = _write_off(state, after, collateral_worth(state, readings, after))
    return EngineSeizure(state, after, amount, repaid, bad_debt)
