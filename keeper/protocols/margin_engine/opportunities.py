"""Legal liquidations of one account: one for each market that can be closed, one for each collateral to be seized."""

from dataclasses import dataclass

from keeper.errors import Refused
from keeper.model.health import WAD, Health
from keeper.model.plan import Opportunity, token_key
from keeper.model.refusal import RefusalCode
from keeper.protocols.margin_engine.bad_debt import shortfall
from keeper.protocols.margin_engine.calldata import LIQUIDATE, SEIZE
from keeper.protocols.margin_engine.health import equity_requirement, health_of, market_price
from keeper.protocols.margin_engine.prices import judge, price_of
from keeper.protocols.margin_engine.query import EngineQuery
from keeper.protocols.margin_engine.rounding import mul_up
from keeper.protocols.margin_engine.simulate import Closing, simulate_seizure
from keeper.protocols.margin_engine.sizing import Sized, choose
from keeper.protocols.margin_engine.state import SETTLEMENT, EngineHoldings


@dataclass(frozen=True, slots=True)
class Gas:
    """Gas of a call: a base, and a part for each position and collateral of the account, whose feeds it reads."""

    base: int
    position: int
    collateral: int

    def of(self, holdings: EngineHoldings, bad_debt: int) -> int:
        collateral = self.collateral + (FORFEIT_GAS if bad_debt else 0)
        return self.base + self.position * len(holdings.positions) + collateral * len(holdings.collaterals)


# Least squares over calls measured on anvil with up to three positions and two collaterals, with plain ERC-20 tokens:
# `liquidate` took 153,443 to 348,379, `seizeCollateral` 123,914 to 285,121.
LIQUIDATE_GAS = Gas(126_000, 55_000, 15_000)
SEIZE_GAS = Gas(122_000, 40_000, 8_500)
FORFEIT_GAS = 50_000  # of each collateral that goes to the owner with a bad debt
_LIMIT_PERCENT = 150  # of the expected use; refunds come after it, and tokens behind a proxy cost more
_OFFER_PERCENT = 110  # of what all of a collateral costs now; the contract takes no more than it then costs


def cap_key(market: int) -> str:
    """The shared limit's name for a market's cap on liquidated notional in a block."""
    return f"cap:market:{market}"


def find(query: EngineQuery) -> list[Opportunity]:
    """Best first: those after which the account is safe, then by reward.

    Raises Refused: "unpriced", or "hold" while the engine is paused.
    """
    if query.state.paused:
        raise Refused(RefusalCode.HOLD, "MarginEngine is paused")
    equity, requirement = equity_requirement(query.state, query.readings, query.holdings, query.timestamp)
    before = health_of(equity, requirement)
    fresh = [id_ for id_, _ in query.holdings.collaterals if _has_price(query, id_)]
    found = [_seizure(query, before, id_) for id_ in fresh if _seizable(query, before)]
    if before.liquidatable:
        found += [_liquidation(query, before, market) for market, _ in query.holdings.positions]
    legal = [opportunity for opportunity in found if opportunity]
    return sorted(legal, key=lambda found: (found.after.liquidatable, -found.reward_wad, found.kind, found.subject))


def _liquidation(query: EngineQuery, before: Health, market_id: int) -> Opportunity | None:
    market = query.state.markets[market_id]
    key = cap_key(market_id)
    closing = Closing.of(query.state, query.readings, query.holdings, market_id, query.timestamp)
    sized = choose(closing, query.target_wad, query.limits.get(key))
    if sized is None or market.rules is None:
        return None
    outcome = sized.outcome
    settlement = query.state.collaterals[SETTLEMENT]
    after = health_of(*equity_requirement(query.state, query.readings, outcome.holdings, query.timestamp))
    gas = LIQUIDATE_GAS.of(query.holdings, outcome.bad_debt)
    return Opportunity(
        account=query.address,
        kind=LIQUIDATE,
        subject=market.name,
        size=outcome.size,
        notional_wad=outcome.notional,
        reward_wad=outcome.reward * settlement.scale,
        rewards={settlement.token: outcome.reward},
        spends={},
        uses={key: (outcome.notional, market.rules.block_cap)},
        gas=gas,
        gas_limit=gas * _LIMIT_PERCENT // 100,
        before=before,
        after=after,
        bad_debt_prevented_wad=_prevented(query, before.equity, outcome.equity, outcome.holdings),
        partial=outcome.size < abs(query.holdings.position(market_id).size),
        details=_details(market_id, sized),
    )


def _details(market_id: int, sized: Sized) -> dict[str, int]:
    outcome = sized.outcome
    return {
        "market": market_id,
        "penalty": outcome.penalty,
        "bad_debt": outcome.bad_debt,
        "clipped": int(sized.limit != "target"),
    }


def _seizable(query: EngineQuery, before: Health) -> bool:
    """`MarginEngine.seizeCollateral` is open for the account."""
    debt = -query.holdings.settlement
    return debt > 0 and (before.liquidatable or not query.holdings.positions or debt > query.state.debt_limit)


def _has_price(query: EngineQuery, id_: int) -> bool:
    """A collateral that the engine sells now: its price is fresh."""
    source = query.state.collaterals[id_].source
    return source is not None and not judge(query.readings, source, query.timestamp)[1]


def _seizure(query: EngineQuery, before: Health, id_: int) -> Opportunity | None:
    """Buys as much collateral as the debt, the balance and the keeper's tokens allow."""
    settlement, collateral = query.state.collaterals[SETTLEMENT], query.state.collaterals[id_]
    wanted = max(0, query.limits.get(token_key(settlement.token), 2**256 - 1))
    seizure = simulate_seizure(query.state, query.readings, query.holdings, id_, wanted, query.timestamp)
    if seizure.amount == 0:
        return None
    takes_all = seizure.amount == query.holdings.collateral(id_)
    # The price may have risen when the call executes: an exact offer would then leave dust that nobody buys.
    offer = min(wanted, seizure.repaid * _OFFER_PERCENT // 100 + 1) if takes_all else seizure.repaid
    price = price_of(query.readings, collateral.source, query.timestamp)
    worth = seizure.amount * collateral.scale * price // WAD
    repaid_wad = seizure.repaid * settlement.scale
    equity, requirement = equity_requirement(query.state, query.readings, seizure.holdings, query.timestamp)
    gas = SEIZE_GAS.of(query.holdings, seizure.bad_debt)
    return Opportunity(
        account=query.address,
        kind=SEIZE,
        subject=collateral.symbol,
        size=seizure.repaid,
        notional_wad=repaid_wad,
        reward_wad=worth - repaid_wad,
        rewards={collateral.token: seizure.amount, settlement.token: -seizure.repaid},
        spends={settlement.token: offer},
        uses={},
        gas=gas,
        gas_limit=gas * _LIMIT_PERCENT // 100,
        before=before,
        after=health_of(equity, requirement),
        bad_debt_prevented_wad=_prevented(query, before.equity, equity - seizure.bad_debt, seizure.holdings),
        partial=not takes_all,
        details={"collateral": id_, "repaid": seizure.repaid, "offer": offer, "bad_debt": seizure.bad_debt},
    )


def _prevented(query: EngineQuery, equity: int, equity_after: int, after: EngineHoldings) -> int:
    """Expected bad debt before less after, in 1e18 dollars, never below zero: see `bad_debt.shortfall`."""
    saved = shortfall(equity / WAD, _gross(query, query.holdings)) - shortfall(equity_after / WAD, _gross(query, after))
    return max(0, int(saved * 1e6) * 10**12)


def _gross(query: EngineQuery, holdings: EngineHoldings) -> float:
    """Notional of all positions, in dollars."""
    total = 0
    for id_, position in holdings.positions:
        total += mul_up(abs(position.size), market_price(query.state.markets[id_], query.readings, query.timestamp))
    return total / WAD
