"""`Vault.liquidateCollateral`: which collateral, how much of it, and the proceeds of selling it in a Uniswap pool."""

from dataclasses import dataclass, replace
from functools import partial
from math import isqrt

from keeper.defi.sizing import largest, peak, smallest
from keeper.defi.tick_math import Q96, sqrt_price_at_tick
from keeper.defi.uniswap_v3 import PoolState, Swapped, swap_exact_in, swap_to_price
from keeper.errors import Refused
from keeper.model.plan import SHARED_POOL_SLIP_PERCENT, Opportunity
from keeper.model.refusal import RefusalCode
from keeper.protocols.curie.account_value import AccountValue
from keeper.protocols.curie.health import health_of
from keeper.protocols.curie.moved import drawn, selling
from keeper.protocols.curie.query import CurieQuery
from keeper.protocols.curie.rounding import RATIO
from keeper.protocols.curie.simulate import CurieSeizure, collateral_for, most_repaid, seize
from keeper.protocols.curie.state import SETTLEMENT, CurieToken

SEIZE = "liquidate_collateral"
# A bound. Measured in millions: up to 0.64 without a market, 1.55 with one, 0.57 to 2.15 with two, 3.51 with three and
# three collaterals, 0.12 a maker's order. Feeds and pools with a long history cost most. Larger bounds would take the
# block from other liquidations; smaller ones run out of gas in simulation, which quarantines the collateral.
GAS, GAS_A_MARKET, GAS_A_COLLATERAL, GAS_AN_ORDER = 450_000, 900_000, 250_000, 150_000
_EXPECTED_PERCENT = 55  # of it, more often than not
_KEPT = 4  # of the discount, at most 1 - 1/4 is given to the pool by the last unit that is sold


@dataclass(frozen=True, slots=True)
class _Sale:
    """A seizure whose collateral one pool takes. `space`: collateral units that all plans of a block may sell there."""

    pool: PoolState
    place: int
    key: str  # of the shared limit
    space: int
    seizure: CurieSeizure
    amount_out: int

    @property
    def profit(self) -> int:
        """Settlement token units."""
        return self.amount_out - self.seizure.paid


def find(query: CurieQuery) -> list[Opportunity]:
    """One for each collateral that may be bought, in the pool that brings most. Raises Refused when there is none."""
    account = query.account
    if not account.seizable:
        return []
    if account.view.parameters.vault_paused:
        raise Refused(RefusalCode.HOLD, "the vault is paused")
    found = []
    for id_, _ in sorted(account.holdings.balances.items()):
        if id_ == SETTLEMENT:
            continue
        token = account.view.state.tokens[id_]
        pools = account.view.readings.exits.get(id_, ())
        sales = [sale for place, pool in enumerate(pools) if (sale := _sale(query, token, pool, place))]
        if sales:
            found.append(_opportunity(query, token, max(sales, key=lambda sale: sale.profit)))
    if not found:
        raise Refused(RefusalCode.UNSUPPORTED, "no known Uniswap pool buys its collateral")
    return found


def _sale(query: CurieQuery, token: CurieToken, pool: PoolState, place: int) -> _Sale | None:
    """None where the pool cannot take what has to be sold."""
    account = query.account
    limit, whole = most_repaid(account, token)
    sells0 = pool.pool.sells_token0(token.address)
    space = _room(account, token, pool, sells0)
    key = selling(token.symbol, pool.pool.address)
    taken = space - query.left_of(key, space)
    before = query.moved.exits.get(pool.pool.address, pool)
    try:
        paid = _size(query, token, limit, min(whole, space - taken) if space else whole)
        worth = partial(_worth, account, token, before, sells0)
        falling = not space or (before is not pool and (worth(paid) or 0) <= 0)
        if paid > 0 and falling:  # a part may pay where the whole does not
            paid = peak(worth, paid)
        if paid <= 0:
            return None
        seizure = seize(account, token, paid)
        return _Sale(pool, place, key, space, seizure, _sold(before, sells0, seizure.collateral).amount_out)
    except Refused as refusal:
        if refusal.code == RefusalCode.UNSUPPORTED:
            return None
        raise


def _opportunity(query: CurieQuery, token: CurieToken, sale: _Sale) -> Opportunity:
    account, seizure, settlement = query.account, sale.seizure, query.contracts.settlement
    gas_limit = _gas_limit(account)
    return Opportunity(
        account=query.address,
        kind=SEIZE,
        subject=token.symbol,
        size=seizure.collateral,
        notional_wad=seizure.paid * account.unit,
        reward_wad=sale.profit * account.unit,
        rewards={settlement: sale.profit},
        spends={settlement: seizure.paid},
        uses=drawn(sale.key, seizure.collateral, sale.space),
        gas=gas_limit * _EXPECTED_PERCENT // 100,
        gas_limit=gas_limit,
        before=health_of(account),
        after=health_of(replace(account, holdings=seizure.after)),
        partial=token.id in seizure.after.balances,
        slip_percent=SHARED_POOL_SLIP_PERCENT,
        pools=(sale.pool.pool.address,),
        details={
            "token": token.id,
            "paid": seizure.paid,
            "pool": int.from_bytes(sale.pool.pool.address, "big"),
            "place": sale.place,
            "out": sale.amount_out,
            "bad_debt": seizure.bad_debt,
        },
    )


def _gas_limit(account: AccountValue) -> int:
    held = account.holdings
    others = sum(token != SETTLEMENT for token in held.balances)
    return GAS + GAS_A_MARKET * len(account.parts) + GAS_A_COLLATERAL * others + GAS_AN_ORDER * len(held.orders)


def _worth(account: AccountValue, token: CurieToken, pool: PoolState, sells0: bool, paid: int) -> int | None:
    try:
        return _sold(pool, sells0, seize(account, token, paid).collateral).amount_out - paid
    except Refused:
        return None


def _sold(pool: PoolState, sells0: bool, amount: int) -> Swapped:
    sold = swap_exact_in(pool, sells0, amount)
    if not sold.complete:
        raise Refused(RefusalCode.UNSUPPORTED, "the Uniswap pool has too little liquidity for the sale")
    return sold


def _size(query: CurieQuery, token: CurieToken, limit: int, space: int) -> int:
    """Settlement token units to pay: what restores the target, within the rules, the pool's room and the balance."""
    account = query.account
    fits = largest(lambda paid: collateral_for(account, token, paid * account.unit) <= space, limit)
    if fits == limit - 1:
        fits = limit  # the whole is rounded otherwise, and given as a whole
    fits = min(fits, query.balance)

    def restores(paid: int) -> bool:
        return query.restored(replace(account, holdings=seize(account, token, paid).after))

    if fits <= 0:
        return 0
    return smallest(restores, None, fits) or fits if restores(fits) else fits


def _room(account: AccountValue, token: CurieToken, pool: PoolState, sells0: bool) -> int:
    """Collateral units that the pool takes until its price leaves a quarter of the discount; 0 when it leaves less."""
    price, decimals = account.view.collateral_price(token.id)
    discount = account.view.readings.collaterals[token.id].discount
    given = discount - discount // _KEPT - pool.pool.fee
    # Units of the settlement token for a unit of collateral, as a fraction.
    worth = price * (RATIO - given) * 10 ** (18 - token.decimals)
    base = RATIO * 10**decimals * account.unit
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
    """The price, limited to the ticks that were read."""
    return min(max(sqrt_price, sqrt_price_at_tick(low) + 1), sqrt_price_at_tick(high) - 1)
