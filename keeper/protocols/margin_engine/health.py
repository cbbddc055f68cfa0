"""Equity and maintenance requirement in exact integers: `MarginEngine.health`, rounding for rounding."""

from keeper.errors import Refused
from keeper.model.health import WAD, Health, ratio_wad
from keeper.model.refusal import RefusalCode
from keeper.protocols.margin_engine.prices import last_price, price_of
from keeper.protocols.margin_engine.reads import EngineReadings
from keeper.protocols.margin_engine.rounding import div_trunc, mul_ceil, mul_floor, mul_up
from keeper.protocols.margin_engine.state import (
    Bracket,
    Collateral,
    EngineHoldings,
    EngineMarket,
    EngineState,
    MarketRules,
)

DAY_S = 86_400


def rules_of(market: EngineMarket) -> MarketRules:
    """A market's rules. Raises Refused("unpriced") for one that was listed and never configured."""
    if market.rules is None:
        raise Refused(RefusalCode.UNPRICED, f"market {market.id} is not configured")
    return market.rules


def market_price(market: EngineMarket, readings: EngineReadings, timestamp: int) -> int:
    """Index price in 1e18. Raises Refused("unpriced")."""
    return price_of(readings, rules_of(market).source, timestamp)


def funding_index(market: EngineMarket, price: int, timestamp: int) -> int:
    """Dollars owed by a long of size 1 since the market began (`MarginEngine._fundingIndex`)."""
    rules = rules_of(market)
    limit = rules.max_funding_rate
    rate = div_trunc((market.long_size - market.short_size) * limit, rules.skew_scale)
    rate = max(-limit, min(limit, rate))
    elapsed = timestamp - market.funding_time
    return market.funding_index + div_trunc(rate * price * elapsed, WAD * DAY_S)


def maintenance(brackets: tuple[Bracket, ...], notional: int) -> int:
    """Maintenance margin of a notional, both in 1e18 dollars (`MarginEngine._maintenance`)."""
    tier = next(tier for tier in reversed(brackets) if tier.floor <= notional)
    return mul_up(notional, tier.rate) - tier.offset


def collateral_equity(collateral: Collateral, amount: int, price: int) -> int:
    """What token units count as equity, in 1e18 dollars."""
    return amount * collateral.scale * collateral.weight * price // 10**36


def collateral_worth(state: EngineState, readings: EngineReadings, holdings: EngineHoldings) -> tuple[int, bool]:
    """(what all collaterals count, whether each has a price) (`MarginEngine._collateralWorth`).

    Prices of any age: a stale feed of one collateral keeps nobody from being liquidated.
    """
    worth, known = 0, True
    for id_, amount in holdings.collaterals:
        collateral = state.collaterals[id_]
        price = last_price(readings, collateral.source)
        known = known and price > 0
        worth += collateral_equity(collateral, amount, price)
    return worth, known


def equity_requirement(
    state: EngineState, readings: EngineReadings, holdings: EngineHoldings, timestamp: int
) -> tuple[int, int]:
    """(equity, requirement) in 1e18 dollars at `timestamp`. Raises Refused("unpriced") where the view reverts."""
    worth, _ = collateral_worth(state, readings, holdings)
    equity, requirement = holdings.settlement + worth, 0
    for id_, position in holdings.positions:
        market = state.markets[id_]
        price = market_price(market, readings, timestamp)
        size = position.size
        funding = mul_ceil(size, funding_index(market, price, timestamp) - position.funding)
        equity += mul_floor(size, price) - position.cost - funding
        requirement += maintenance(market.brackets, mul_up(abs(size), price))
    return equity, requirement


def health_of(equity: int, requirement: int) -> Health:
    """The verdict: liquidatable when equity < requirement."""
    return Health(
        equity=equity,
        requirement=requirement,
        liquidatable=equity < requirement,
        health_wad=ratio_wad(equity, requirement),
        views={"equity": equity, "requirement": requirement},
    )
