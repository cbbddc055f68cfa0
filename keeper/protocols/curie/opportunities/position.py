"""`ClearingHouse.liquidate`: which slice of which position, with how much margin, and the profit after closing it."""

from dataclasses import dataclass, replace

from keeper.defi.sizing import largest, peak, smallest
from keeper.defi.uniswap_v3 import PoolState
from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.model.plan import SHARED_POOL_SLIP_PERCENT, Opportunity
from keeper.model.refusal import RefusalCode
from keeper.protocols.curie.account_value import AccountValue
from keeper.protocols.curie.health import health_of
from keeper.protocols.curie.moved import closing, drawn
from keeper.protocols.curie.query import CurieQuery
from keeper.protocols.curie.reads import OPEN
from keeper.protocols.curie.rounding import RATIO
from keeper.protocols.curie.simulate import SliceLiquidation, cancelled, fund_capacity, liquidate, most_size
from keeper.protocols.curie.state import SETTLEMENT, CurieHoldings
from keeper.protocols.curie.trading import Closed, close, pool_state, room

LIQUIDATE = "liquidate"
# Measured: 2.2 to 3.3 million; the limit is half as much again, and was never reached.
GAS, GAS_A_MARKET, GAS_AN_ORDER, GAS_A_TURN = 2_200_000, 420_000, 700_000, 60_000
_SPARE = 50  # margin is deposited a fiftieth over what is needed: prices move until the block
_KEPT = 4  # of the liquidator's fee, at most 1 - 1/4 is given to the pool by the last unit that is closed


@dataclass(frozen=True, slots=True)
class SliceOutcome:
    """A slice and its exit. `margin`, `profit`: settlement token units."""

    liquidation: SliceLiquidation
    closed: Closed
    margin: int
    profit: int


def find(query: CurieQuery) -> list[Opportunity]:
    """One for each market in which a slice is legal. Raises Refused when none can be computed."""
    if not query.account.liquidatable:
        return []
    if query.account.view.parameters.house_paused or query.account.view.parameters.vault_paused:
        raise Refused(RefusalCode.HOLD, "the protocol is paused")
    held = any(position.size or position.notional for position in query.own.positions.values())
    if held or query.own.orders:
        raise Refused(RefusalCode.HOLD, "the executor's own account holds a position: close it first")
    bare = cancelled(query.account)
    found, refusals = [], []
    for market in sorted(bare.holdings.positions):
        try:
            if slice_ := _Slice.of(query, bare, market):
                found.append(slice_.opportunity())
        except Refused as refusal:
            refusals.append(refusal)
    if refusals and not found:
        raise refusals[0]
    return found


@dataclass(frozen=True, slots=True)
class _Slice:
    """One market of an account whose orders are cancelled. `pool`: after the keeper's own earlier liquidations."""

    query: CurieQuery
    bare: AccountValue
    market: int
    most: int  # that the protocol allows, unsigned
    sign: int
    pool: PoolState
    room: int  # that the pool takes at a price that pays, for all plans of a block together
    taken: int  # of it, by other plans

    @classmethod
    def of(cls, query: CurieQuery, bare: AccountValue, market: int) -> "_Slice | None":
        view = bare.view
        if view.market(market).reading.status != OPEN:
            raise Refused(RefusalCode.UNSUPPORTED, f"market {view.state.markets[market].symbol} is not open (CH_MNO)")
        most = most_size(bare, market)
        if not most:
            return None
        sign = 1 if most > 0 else -1
        orders = query.account.holdings.orders
        pool = pool_state(view, market, orders)
        space = room(view, market, sign > 0, pool, _worst_price(bare, market, sign))
        taken = space - query.left_of(_key(bare, market, sign), space)
        if moved := query.moved.markets.get(market):
            pool = pool_state(view, market, orders, moved)
        return cls(query, bare, market, abs(most), sign, pool, space, taken)

    def opportunity(self) -> Opportunity:
        query, account = self.query, self.query.account
        size, limit = self._size()
        worth = self._worth(size)
        falling = not self.room or (self.market in query.moved.markets and (worth or 0) <= 0)
        if falling or worth is None:  # a part may pay, or be allowed, where the whole is not
            size, limit = min((peak(self._worth, size), "pool"), (size, limit))
        outcome = self.outcome(size)
        liquidation = outcome.liquidation
        after = replace(self.bare, holdings=liquidation.after)
        symbol = account.view.state.markets[self.market].symbol
        token = query.contracts.settlement
        state, orders = account.view.state, len(account.holdings.orders)
        touched = {self.market, *(order.range.market for order in account.holdings.orders)}
        gas = GAS + GAS_A_MARKET * len(account.parts) + GAS_AN_ORDER * orders + GAS_A_TURN * (outcome.closed.turns - 1)
        return Opportunity(
            account=query.address,
            kind=LIQUIDATE,
            subject=symbol,
            size=size,
            notional_wad=abs(liquidation.notional),
            reward_wad=outcome.profit * account.unit,
            rewards={token: outcome.profit},
            spends={token: outcome.margin},
            uses=drawn(_key(self.bare, self.market, self.sign), size, self.room),
            gas=gas,
            gas_limit=gas * 3 // 2,
            before=health_of(account),
            after=health_of(after),
            partial=self.market in after.holdings.positions,
            slip_percent=SHARED_POOL_SLIP_PERCENT,
            pools=tuple(state.markets[market].pool for market in sorted(touched)),
            details={
                "market": self.market,
                "size": self.sign * size,
                "margin": outcome.margin,
                "quote": outcome.closed.quote,
                "cancel": int(bool(orders)),
                "limit": _LIMITS.index(limit),
                "penalty": liquidation.penalty,
                "bad_debt": liquidation.bad_debt,
            },
        )

    def _size(self) -> tuple[int, str]:
        """(size, which limit decided): what restores the target, clipped to rules, pool and balance."""
        wanted = self.most
        if self._restores(wanted):
            wanted = smallest(self._restores, self._guess() or None, self.most) or self.most
        size, limit = wanted, "target" if wanted < self.most else "protocol"
        space = self.room - self.taken
        if self.room and space < size:
            size, limit = space, "pool"
        if size > 0 and self._margin(size) > self.query.balance:
            size, limit = largest(lambda part: self._margin(part) <= self.query.balance, size), "balance"
        if size <= 0:
            raise Refused(RefusalCode.NO_LEGAL_SIZE, f"nothing can be closed within the {limit} limit")
        return size, limit

    def _worth(self, size: int) -> int | None:
        try:
            return self.outcome(size).profit
        except Refused:
            return None

    def _restores(self, size: int) -> bool:
        after = liquidate(self.bare, self.market, self.sign * size).after
        return self.query.restored(replace(self.bare, holdings=after))

    def _guess(self) -> int:
        """The size that restores the target where the position test decides: each dollar closed frees its requirement
        and costs its penalty."""
        parameters, target = self.bare.view.parameters, self.query.target_wad
        missing = self.bare.requirement * target // WAD - self.bare.account_value
        freed = parameters.mm_ratio * target // WAD - parameters.penalty_ratio  # millionths of the notional
        if missing <= 0 or freed <= 0:
            return 0
        return missing * RATIO * WAD // (freed * self.bare.view.market(self.market).mark_price)

    def _margin(self, size: int) -> int:
        return _margin(self.query, self.bare, liquidate(self.bare, self.market, self.sign * size), self.market)

    def outcome(self, size: int) -> SliceOutcome:
        """Raises Refused where the contracts would revert."""
        return outcome(self.query, self.bare, self.market, self.sign * size, self.pool)


def outcome(query: CurieQuery, bare: AccountValue, market: int, size: int, pool: PoolState) -> SliceOutcome:
    """Liquidate and close a signed size, the pool being in this state. Raises Refused where the contracts revert."""
    liquidation = liquidate(bare, market, size)
    if liquidation.value_after < 0:
        capacity = fund_capacity(query.fund, liquidation.to_fund)
        if capacity < -liquidation.value_after:
            raise Refused(RefusalCode.UNSUPPORTED, "the insurance fund cannot cover the bad debt (CH_IIC)")
    closed = close(bare.view, market, size, pool)
    margin = _margin(query, bare, liquidation, market)
    parameters = bare.view.parameters
    if parameters.vault_wallet + margin > parameters.balance_cap:
        raise Refused(RefusalCode.HOLD, "the vault takes no more deposits (V_GTSTBC)")
    gained = liquidation.takeover.notional + closed.quote
    profit = (query.own.balances.get(SETTLEMENT, 0) * bare.unit + query.own.owed + gained) // bare.unit
    if profit + margin < 0:
        raise Refused(RefusalCode.UNSUPPORTED, "closing the position would lose more than its margin (CH_NEFCM)")
    return SliceOutcome(liquidation, closed, margin, profit)


def _margin(query: CurieQuery, bare: AccountValue, liquidation: SliceLiquidation, market: int) -> int:
    """The deposit that lets the executor take the slice over (CH_NEFCI), and a fiftieth more."""
    taken = replace(liquidation.takeover, premium=bare.view.market(market).growth.premium)
    own: CurieHoldings = replace(query.own, positions={market: taken})
    free = replace(bare, holdings=own).free_collateral(bare.view.parameters.im_ratio)
    needed = max(0, -free)
    return needed + needed // _SPARE + 1


def _worst_price(bare: AccountValue, market: int, sign: int) -> int:
    """The worst price (1e18) at which the last unit may close: it gives the pool part of the liquidator's fee."""
    at, parameters = bare.view.market(market), bare.view.parameters
    fee = parameters.penalty_ratio if bare.account_value < 0 else parameters.penalty_ratio // 2
    given = fee - fee // _KEPT - at.reading.exchange_fee
    paying = at.mark_price * (RATIO - sign * given) // RATIO
    allowed = at.index_price(0) * (RATIO - sign * (at.reading.max_spread - 1)) // RATIO  # EX_OPB
    return max(paying, allowed) if sign > 0 else min(paying, allowed)


def _key(bare: AccountValue, market: int, sign: int) -> str:
    return closing(bare.view.state.markets[market].symbol, sign)


_LIMITS = ("target", "protocol", "pool", "balance")
