"""Legal liquidations of one account: for each collateral and each debt, with own tokens and with a flash loan."""

from collections.abc import Iterator
from dataclasses import dataclass

from keeper.defi.exits import Route, other, routes
from keeper.defi.sizing import largest, peak
from keeper.defi.uniswap_v3 import PoolState
from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.model.plan import SHARED_POOL_SLIP_PERCENT, Opportunity, token_key
from keeper.model.refusal import RefusalCode
from keeper.protocols import executor
from keeper.protocols.aave_v3 import exits
from keeper.protocols.aave_v3.calldata import FLASH, OWN
from keeper.protocols.aave_v3.exits import Quote
from keeper.protocols.aave_v3.health import health_of
from keeper.protocols.aave_v3.query import AaveQuery
from keeper.protocols.aave_v3.simulate import Pair, PairOutcome, pairs
from keeper.protocols.aave_v3.sizing import legal, restoring, sizes

_UNLIMITED = 2**127
_MODERN_LESS_GAS = 70_000  # 3.6 takes less
_WRITE_OFF_GAS = 90_000  # each further debt that 3.6 writes off
_NEEDED = "use a node whose eth_call supports state overrides"
_LIMIT_PERCENT = 150  # of the expected use: pools cross ticks, and sources of prices differ in what they cost


@dataclass(frozen=True, slots=True)
class Deal:
    """One offer on one route, with its proceeds. `profit`: units of the debt token, signed."""

    offer: int
    outcome: PairOutcome
    quote: Quote | None
    premium: int
    profit: int


def find(query: AaveQuery) -> list[Opportunity]:
    """Best first: those after which the account is safe, then by reward.

    Raises Refused: "unpriced"; "hold" when the pool takes no liquidation of any pair; "unsupported" when no
    pool can take the collateral.
    """
    before = health_of(query.market, query.holdings)
    if not before.liquidatable:
        return []
    found: list[Opportunity] = []
    refusals: list[Refused] = []
    for pair in pairs(query.market, query.holdings, before):
        if refusal := pair.refusal() or _unsellable(query, pair):
            refusals.append(refusal)
        else:
            found += _of_pair(query, pair)
    if refusals and not found:
        raise refusals[0]
    return sorted(found, key=lambda item: (item.after.liquidatable, -item.reward_wad, item.kind, item.subject))


def _unsellable(query: AaveQuery, pair: Pair) -> Refused | None:
    """Why no pool can take the collateral; None when one can, or nothing has to be sold."""
    if pair.collateral != pair.debt and not _routes(query, pair):
        why = f"no known pool sells {pair.collateral.symbol} for {pair.debt.symbol}"
    elif _unread(query, pair):
        why = f"the Uniswap pools of {pair.collateral.symbol} could not be read: {_NEEDED}"
    else:
        return None
    return Refused(RefusalCode.UNSUPPORTED, why)


def _routes(query: AaveQuery, pair: Pair) -> tuple[Route, ...]:
    return routes(query.pools, pair.collateral.asset, pair.debt.asset)


def _unread(query: AaveQuery, pair: Pair) -> bool:
    """Whether there are routes, but on each a pool that was not read."""
    known, found = query.market.readings.pools, _routes(query, pair)
    return bool(found) and not any(all(pool.address in known for pool in route) for route in found)


def _of_pair(query: AaveQuery, pair: Pair) -> Iterator[Opportunity]:
    needed = restoring(pair, query.target_wad)
    for kind in (OWN, FLASH):
        most = _most(query, pair, kind)
        for offer in sizes(pair, needed, most) if most > 0 else []:
            deals = _deals(query, pair, kind, offer)
            if not deals:
                continue
            best = max(deals, key=_profit)
            yield _opportunity(query, pair, kind, best)
            parts = [part for deal in deals if (part := _smaller(query, pair, kind, deal))]
            part = max(parts, key=_profit, default=best)
            if part.profit > best.profit:
                yield _opportunity(query, pair, kind, part)


def _most(query: AaveQuery, pair: Pair, kind: str) -> int:
    """The largest offer that the keeper can pay for and the pool can pay out."""
    same = pair.collateral == pair.debt
    liquid = pair.market.data(pair.collateral.index).liquidity
    if kind == OWN:
        most = query.limits.get(token_key(pair.debt.asset), _UNLIMITED)
    else:
        lending = pair.market.data(pair.debt.index)
        if not query.flash_loans or not lending.configuration.flash_loans:
            return 0
        most = lending.liquidity

    def paid_out(offer: int) -> bool:
        _, taken, fee = pair.amounts(offer)
        return taken - fee <= liquid - (offer if same and kind == FLASH else 0)

    top = min(most, pair.most + pair.most // 1_000 + 2)
    return most if paid_out(top) else largest(paid_out, top)


def _deals(query: AaveQuery, pair: Pair, kind: str, offer: int) -> list[Deal]:
    """A deal on each route; with a smaller offer where the route's pools take no more."""
    if pair.collateral == pair.debt:
        deal = _priced(query, pair, kind, offer, None)
        return [deal] if deal else []
    return [
        deal
        for route in _routes(query, pair)
        if (fitting := _fitting(query, pair, kind, route, offer))
        and (deal := _priced(query, pair, kind, fitting, route))
    ]


def _profit(deal: Deal) -> int:
    return deal.profit


def _priced(
    query: AaveQuery, pair: Pair, kind: str, offer: int, route: Route | None, dust_allowed: bool = False
) -> Deal | None:
    outcome = pair.outcome(offer, dust_allowed)
    if outcome is None or outcome.covered > offer:
        return None
    version, readings = query.market.readings.version, query.market.readings
    premium = version.flash_premium(offer, readings.premium) if kind == FLASH else 0
    if route is None:
        return Deal(offer, outcome, None, premium, outcome.seized - outcome.covered - premium)
    sold = _sold(query, pair, route, outcome.seized)
    if sold is None:
        return None
    return Deal(offer, outcome, sold, premium, sold.amount_out - outcome.covered - premium)


def _sold(query: AaveQuery, pair: Pair, route: Route, amount: int) -> Quote | None:
    """The proceeds of a sale, cached: the same amount is asked for more than once."""
    quotes, states = query.market.readings.quotes, query.states
    at = (part for pool in route for part in (pool.address, _place(states.get(pool.address))))
    key: tuple[object, ...] = (*at, pair.collateral.asset, amount)
    if key not in quotes:
        quotes[key] = exits.quote(states, route, pair.collateral.asset, amount)
    return quotes[key]


def _place(state: PoolState | None) -> tuple[int, int] | None:
    """What tells the states apart that a pool comes to within a block."""
    return (state.sqrt_price, state.tick) if state else None


def _fitting(query: AaveQuery, pair: Pair, kind: str, route: Route, offer: int) -> int:
    """The offer, or the largest legal one whose proceeds the route's pools have room for; 0 when there is none."""

    def fits(size: int) -> bool:
        _, taken, fee = pair.amounts(size)
        sold = _sold(query, pair, route, taken - fee)
        if sold is None:
            return False
        rooms = _rooms(query, pair, kind, route)
        return all(
            given <= min(query.limits.get(key, room), room)
            for (key, room), given in zip(rooms.items(), sold.inputs, strict=True)
        )

    if fits(offer):
        return offer
    return legal(pair, size) if (size := largest(lambda size: size == 0 or fits(size), offer)) else 0


def _rooms(query: AaveQuery, pair: Pair, kind: str, route: Route) -> dict[str, int]:
    """Shared limits of a route: what its pools take until their prices have moved by half of what a liquidation earns,
    all liquidations of a block together, so that the last of them is still worth it."""
    token, found = pair.collateral.asset, {}
    slip = _margin(query, pair, kind, route) // 2 // max(len(route), 1)
    for pool in route:
        key = exits.room_key(pool, token)
        found[key] = query.market.readings.room(pool, token, slip)
        token = other(pool, token)
    return found


def _margin(query: AaveQuery, pair: Pair, kind: str, route: Route) -> int:
    """What is left of the bonus after the protocol's fee, a flash loan's premium and the pools' fees, in bps."""
    bonus = max(pair.bonus - 10_000, 0)
    protocols = query.market.data(pair.collateral.index).configuration.protocol_fee
    premium = query.market.readings.premium if kind == FLASH else 0
    pools = sum(-(-pool.fee // 100) for pool in route)  # in parts per million
    return max(bonus * (10_000 - protocols) // 10_000 - premium - pools, 0)


def _smaller(query: AaveQuery, pair: Pair, kind: str, deal: Deal) -> Deal | None:
    """The part of the deal that earns most, where the pools' prices fall so fast that a smaller sale earns more."""
    if deal.quote is None:
        return None
    route = deal.quote.route

    def profit(offer: int) -> int | None:
        made = _priced(query, pair, kind, offer, route, dust_allowed=True)
        return made.profit if made else None

    offer = legal(pair, peak(profit, deal.offer))
    part = _priced(query, pair, kind, offer, route) if offer else None
    return part if part and part.profit > deal.profit else None


def _opportunity(query: AaveQuery, pair: Pair, kind: str, deal: Deal) -> Opportunity:
    token = pair.debt.asset
    outcome, route = deal.outcome, deal.quote.route if deal.quote else ()
    rooms = _rooms(query, pair, kind, route)
    inputs = deal.quote.inputs if deal.quote else ()
    gas = _gas(pair, kind, outcome, len(route))
    return Opportunity(
        account=query.address,
        kind=kind,
        subject=f"{pair.collateral.symbol}/{pair.debt.symbol}",
        size=outcome.covered,
        notional_wad=_dollars(pair, outcome.covered),
        reward_wad=_dollars(pair, deal.profit),
        rewards={token: deal.profit},
        spends={token: deal.offer} if kind == OWN else {},
        uses={key: (given, room) for (key, room), given in zip(rooms.items(), inputs, strict=True)},
        gas=gas,
        gas_limit=gas * _LIMIT_PERCENT // 100,
        before=pair.before,
        after=pair.health_after(outcome),
        partial=outcome.covered < pair.owed,
        slip_percent=SHARED_POOL_SLIP_PERCENT,
        pools=tuple(pool.address for pool in route),
        details=_details(pair, kind, deal, route),
    )


def _details(pair: Pair, kind: str, deal: Deal, route: Route) -> dict[str, int]:
    return {
        "collateral": pair.collateral.index,
        "debt": pair.debt.index,
        "offer": deal.offer,
        "flash": int(kind == FLASH),
        "covered": deal.outcome.covered,
        "seized": deal.outcome.seized,
        "fee": deal.outcome.fee,
        "premium": deal.premium,
        "out": deal.quote.amount_out if deal.quote else 0,
        **{f"pool{place}": int.from_bytes(pool.address, "big") for place, pool in enumerate(route)},
    }


def _dollars(pair: Pair, units: int) -> int:
    """Dollars (1e18) of units of the debt token, at its own price. Raises Refused("unpriced")."""
    readings = pair.market.readings
    price = readings.price(pair.debt.asset, pair.debt.symbol)
    if not price:
        raise Refused(RefusalCode.UNPRICED, f"the oracle's price of {pair.debt.symbol} is zero")
    return units * price * WAD // (pair.units[1] * readings.unit)


def _gas(pair: Pair, kind: str, outcome: PairOutcome, hops: int) -> int:
    further = max(len(pair.market.flagged(pair.holdings)) - 2, 0)
    gas = executor.AAVE_GAS + executor.AAVE_RESERVE_GAS * further + executor.HOP_GAS * hops
    gas += executor.FLASH_LOAN_GAS if kind == FLASH else 0
    gas -= _MODERN_LESS_GAS if pair.modern else 0
    return gas + _WRITE_OFF_GAS * max(len(outcome.written_off) - 1, 0)
