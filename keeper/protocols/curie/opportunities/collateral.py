"""`Vault.liquidateCollateral`: how much of which collateral, what it costs, and what selling it brings."""

from dataclasses import dataclass, replace
from functools import partial
from math import isqrt

from keeper.defi.fixed_point import Rounding, mul_div
from keeper.defi.sizing import largest, peak
from keeper.defi.tick_math import Q96, sqrt_price_at_tick
from keeper.defi.uniswap_v3 import PoolState, Swapped, swap_exact_in, swap_to_price
from keeper.errors import Refused
from keeper.model.plan import SHARED_POOL_SLIP_PERCENT, Opportunity
from keeper.protocols.curie.account_value import AccountValue
from keeper.protocols.curie.health import health_of
from keeper.protocols.curie.query import Query, smallest
from keeper.protocols.curie.rounding import RATIO, div_ratio, mul_ratio
from keeper.protocols.curie.simulate import settle_bad_debt
from keeper.protocols.curie.state import SETTLEMENT, Holdings, Token

SEIZE = "liquidate_collateral"
# A bound. Measured: 0.57 to 2.15 million with two markets, 3.51 with three and three collaterals, 0.12 a maker's order;
# feeds and pools with a long history cost most. Larger ones would take the block from other liquidations.
GAS, GAS_A_MARKET, GAS_A_COLLATERAL, GAS_AN_ORDER = 350_000, 900_000, 250_000, 150_000
_EXPECTED_PERCENT = 55  # of it, more often than not
_KEPT = 4  # of the discount, at most 1 - 1/4 is given to the pool by the last unit that is sold


@dataclass(frozen=True, slots=True)
class Seizure:
    """Settlement token units paid, collateral units got. `bad_debt` in settlement token units."""

    paid: int
    collateral: int
    to_fund: int
    after: Holdings
    bad_debt: int


def discounted_price(standing: AccountValue, token: int) -> tuple[int, int]:
    """(price, its decimals) that a liquidator pays."""
    price, decimals = standing.view.collateral_price(token)
    return mul_ratio(price, RATIO - standing.view.readings.collaterals[token].discount), decimals


def collateral_for(standing: AccountValue, token: Token, paid_wad: int) -> int:
    """`Vault._getCollateralBySettlement` at the discounted price."""
    price, decimals = discounted_price(standing, token.id)
    if not price:
        raise Refused("unpriced", f"{token.symbol} has a price of nothing")
    return int(mul_div(paid_wad, 10**decimals, price, Rounding.UP) // 10 ** (18 - token.decimals))


def most(standing: AccountValue, token: Token) -> tuple[int, int]:
    """(settlement token units, collateral units) (`Vault.getMaxRepaidSettlementAndLiquidatableCollateral`)."""
    parameters = standing.view.parameters
    debt = max(standing.settlement_debt, mul_ratio(standing.debt, parameters.im_ratio))
    if debt > parameters.dust * standing.unit:
        debt = mul_ratio(debt, parameters.liquidation_ratio)
    paid = div_ratio(debt, RATIO - parameters.fund_fee_ratio)
    collateral = collateral_for(standing, token, paid)
    balance = standing.holdings.balances.get(token.id, 0)
    if collateral > balance:
        collateral = balance
        price, decimals = discounted_price(standing, token.id)
        paid = balance * 10 ** (18 - token.decimals) * price // 10**decimals
    return paid // standing.unit, collateral


def seize(standing: AccountValue, token: Token, paid: int) -> Seizure:
    """Pay so many units, at most `most`. Raises Refused("unpriced")."""
    limit, whole = most(standing, token)
    collateral = whole if paid == limit else collateral_for(standing, token, paid * standing.unit)
    held = standing.holdings.balances.get(token.id, 0)
    if collateral > held:
        raise Refused("unsupported", f"rounding asks for more {token.symbol} than there is")
    to_fund = mul_ratio(paid, standing.view.parameters.fund_fee_ratio)
    balances = {**standing.holdings.balances, token.id: held - collateral}
    balances[SETTLEMENT] = balances.get(SETTLEMENT, 0) + paid - to_fund
    after = replace(standing.holdings, balances={key: units for key, units in balances.items() if units})
    settled, bad_debt = settle_bad_debt(replace(standing, holdings=after))
    return Seizure(paid, collateral, to_fund, settled, bad_debt)


def opportunities(case: Query) -> list[Opportunity]:
    """One for each collateral that may be bought; the best of its pools."""
    standing = case.standing
    if not standing.seizable:
        return []
    if standing.view.parameters.vault_paused:
        raise Refused("hold", "the vault is paused")
    found = []
    for id_, _ in sorted(standing.holdings.balances.items()):
        if id_ == SETTLEMENT:
            continue
        token = standing.view.state.tokens[id_]
        offers = [
            offer
            for place, pool in enumerate(standing.view.readings.exits.get(id_, ()))
            if (offer := _offer(case, token, pool, place))
        ]
        if offers:
            found.append(max(offers, key=lambda offer: offer.reward_wad))
    if not found:
        raise Refused("unsupported", "no Uniswap pool is known where its collateral could be sold")
    return found


def _offer(case: Query, token: Token, pool: PoolState, place: int) -> Opportunity | None:
    """None where the pool cannot take what has to be sold."""
    standing = case.standing
    limit, whole = most(standing, token)
    sells0 = pool.pool.sells_token0(token.address)
    space = _room(standing, token, pool, sells0)
    key = f"selling {token.symbol} in 0x{pool.pool.address.hex()}"
    taken = space - case.left_of(key, space)
    try:
        before = swap_exact_in(pool, sells0, taken).after if taken else pool
        paid = _size(case, token, limit, min(whole, space - taken) if space else whole)
        if paid > 0 and not space:  # a part may pay where the whole does not
            paid = peak(partial(_worth, standing, token, before, sells0), paid)
        if paid <= 0:
            return None
        seizure = seize(standing, token, paid)
        sold = _sold(before, sells0, seizure.collateral)
    except Refused as refusal:
        if refusal.code == "unsupported":
            return None
        raise
    profit = sold.amount_out - paid
    held = standing.holdings
    others = sum(token != SETTLEMENT for token in held.balances)
    gas_limit = GAS + GAS_A_MARKET * len(standing.parts) + GAS_A_COLLATERAL * others + GAS_AN_ORDER * len(held.orders)
    settlement = case.contracts.settlement
    return Opportunity(
        account=case.address,
        kind=SEIZE,
        subject=token.symbol,
        size=seizure.collateral,
        notional_wad=paid * standing.unit,
        reward_wad=profit * standing.unit,
        rewards={settlement: profit},
        spends={settlement: paid},
        uses={key: (seizure.collateral, space)} if space else {},
        gas=gas_limit * _EXPECTED_PERCENT // 100,
        gas_limit=gas_limit,
        before=health_of(standing),
        after=health_of(replace(standing, holdings=seizure.after)),
        partial=token.id in seizure.after.balances,
        slip_percent=SHARED_POOL_SLIP_PERCENT,
        details={
            "token": token.id,
            "paid": paid,
            "pool": int.from_bytes(pool.pool.address, "big"),
            "place": place,
            "out": sold.amount_out,
            "bad_debt": seizure.bad_debt,
        },
    )


def _worth(standing: AccountValue, token: Token, pool: PoolState, sells0: bool, paid: int) -> int | None:
    try:
        return _sold(pool, sells0, seize(standing, token, paid).collateral).amount_out - paid
    except Refused:
        return None


def _sold(pool: PoolState, sells0: bool, amount: int) -> Swapped:
    sold = swap_exact_in(pool, sells0, amount)
    if not sold.complete:
        raise Refused("unsupported", "the pool runs out")
    return sold


def _size(case: Query, token: Token, limit: int, space: int) -> int:
    """Settlement token units to pay: what restores the target, within the rules, the pool's room and the purse."""
    standing = case.standing
    fits = largest(lambda paid: collateral_for(standing, token, paid * standing.unit) <= space, limit)
    if fits == limit - 1:
        fits = limit  # the whole is rounded otherwise, and given as a whole
    fits = min(fits, case.purse)

    def restores(paid: int) -> bool:
        return case.restored(replace(standing, holdings=seize(standing, token, paid).after))

    return smallest(restores, fits) if fits > 0 else 0


def _room(standing: AccountValue, token: Token, pool: PoolState, sells0: bool) -> int:
    """Collateral units until the pool's price leaves only a part of the discount; 0 when it does already."""
    price, decimals = standing.view.collateral_price(token.id)
    discount = standing.view.readings.collaterals[token.id].discount
    given = discount - discount // _KEPT - pool.pool.fee
    # Units of the settlement token for a unit of collateral, as a fraction.
    worth = price * (RATIO - given) * 10 ** (18 - token.decimals)
    base = RATIO * 10**decimals * standing.unit
    target = _root(worth, base) if sells0 else _root(base, worth)
    if target >= pool.sqrt_price if sells0 else target <= pool.sqrt_price:
        return 0
    low, high = pool.known
    try:
        return max(0, swap_to_price(pool, _within(target, low, high)).amount_in - 1)
    except Refused:
        return 0


def _root(numerator: int, denominator: int) -> int:
    """Q96 root of a fraction."""
    return isqrt(numerator * Q96 * Q96 // denominator)


def _within(sqrt_price: int, low: int, high: int) -> int:
    """Kept inside of the ticks that were read."""
    return min(max(sqrt_price, sqrt_price_at_tick(low) + 1), sqrt_price_at_tick(high) - 1)
