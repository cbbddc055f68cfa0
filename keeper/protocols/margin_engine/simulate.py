"""`MarginEngine.liquidate` and `seizeCollateral` in exact integers: what they leave, and what they pay."""

from dataclasses import dataclass, replace

from keeper.model.health import WAD
from keeper.protocols.margin_engine.health import equity_requirement, funding_index, maintenance, market_price, rules_of
from keeper.protocols.margin_engine.prices import Readings, price_of
from keeper.protocols.margin_engine.rounding import div_trunc, div_up, mul_ceil, mul_down, mul_floor, mul_up
from keeper.protocols.margin_engine.state import SETTLEMENT, EngineState, Holdings, Market, Position


@dataclass(frozen=True, slots=True)
class Liquidation:
    """One simulated `liquidate`. Dollars in 1e18, the reward in settlement token units."""

    state: EngineState
    holdings: Holdings
    size: int
    notional: int
    penalty: int
    reward: int
    equity: int  # after, before bad debt is written off
    requirement: int  # after
    judged: int  # the requirement that the engine judges over-liquidation by
    bad_debt: int


@dataclass(frozen=True, slots=True)
class Seizure:
    """One simulated `seizeCollateral`. `amount` in units of the collateral, `repaid` in settlement token units."""

    state: EngineState
    holdings: Holdings
    amount: int
    repaid: int
    bad_debt: int


def simulate_liquidation(
    state: EngineState, readings: Readings, holdings: Holdings, market_id: int, size: int, timestamp: int
) -> Liquidation:
    """Close `size` of a position at `timestamp`. Says what would happen; whether it is allowed is for `sizing`.

    Raises Refused("unpriced") when the engine would revert for want of a price.
    """
    market = state.markets[market_id]
    rules = rules_of(market)
    price = market_price(market, readings, timestamp)
    equity, _ = equity_requirement(state, readings, holdings, timestamp)
    market = _accrued(market, funding_index(market, price, timestamp), timestamp)
    position = holdings.position(market_id)
    left, realised = _close(market, position, size, price)
    notional = mul_up(size, price)
    penalty, reward, fund_part = _penalty(state, market, notional, equity)

    state = _with_market(state, _counted(market, position.size, left.size))
    state = replace(state, pool=state.pool - realised, insurance_fund=state.insurance_fund + fund_part)
    positions = tuple((id_, left if id_ == market_id else held) for id_, held in holdings.positions)
    holdings = Holdings(
        holdings.settlement + realised - penalty,
        holdings.collaterals,
        tuple((id_, held) for id_, held in positions if held.size != 0),
    )
    equity, requirement = equity_requirement(state, readings, holdings, timestamp)
    judged = requirement if left.size else requirement + maintenance(market.brackets, rules.min_notional)
    state, holdings, bad_debt = _write_off(state, holdings)
    return Liquidation(state, holdings, size, notional, penalty, reward, equity, requirement, judged, bad_debt)


def _accrued(market: Market, index: int, timestamp: int) -> Market:
    return replace(market, funding_index=index, funding_time=timestamp)


def _close(market: Market, position: Position, size: int, price: int) -> tuple[Position, int]:
    """(what is left, realised dollars) of closing part or all (`MarginEngine._changePosition`)."""
    funding = mul_ceil(position.size, market.funding_index - position.funding)
    closed = size if position.size > 0 else -size
    cost_closed = div_trunc(position.cost * closed, position.size)
    realised = -funding + mul_floor(closed, price) - cost_closed
    if closed == position.size:
        return Position(0, 0, 0), realised
    return Position(position.size - closed, position.cost - cost_closed, market.funding_index), realised


def _penalty(state: EngineState, market: Market, notional: int, equity: int) -> tuple[int, int, int]:
    """(taken from the account, reward units, the insurance fund's part) (`MarginEngine._takePenalty`)."""
    rules = rules_of(market)
    scale = state.collaterals[SETTLEMENT].scale
    penalty = mul_up(notional, rules.penalty)
    reward = mul_down(penalty, rules.keeper_share) // scale
    keeper_part = reward * scale
    fund_part = min(penalty - keeper_part, max(0, equity - keeper_part))
    return keeper_part + fund_part, reward, fund_part


def _counted(market: Market, before: int, after: int) -> Market:
    """Open interest after a position went from one size to another of the same sign, or to none."""
    change = abs(after) - abs(before)
    if before > 0:
        return replace(market, long_size=market.long_size + change)
    return replace(market, short_size=market.short_size + change)


def _with_market(state: EngineState, market: Market) -> EngineState:
    return replace(state, markets=(*state.markets[: market.id], market, *state.markets[market.id + 1 :]))


def _write_off(state: EngineState, holdings: Holdings) -> tuple[EngineState, Holdings, int]:
    """What an account that holds nothing more still owes (`MarginEngine._settleBadDebt`)."""
    if holdings.settlement >= 0 or holdings.positions or holdings.collaterals:
        return state, holdings, 0
    debt = -holdings.settlement
    from_fund = min(debt, state.insurance_fund)
    state = replace(state, insurance_fund=state.insurance_fund - from_fund, pool=state.pool - (debt - from_fund))
    return state, Holdings(0), debt


def simulate_seizure(
    state: EngineState, readings: Readings, holdings: Holdings, id_: int, repay: int, timestamp: int
) -> Seizure:
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
    after = Holdings(
        holdings.settlement + repaid * settlement_scale,
        tuple((held, units) for held, units in collaterals if units),
        holdings.positions,
    )
    state, after, bad_debt = _write_off(state, after)
    return Seizure(state, after, amount, repaid, bad_debt)
