"""The market at one time: mark prices, index prices and funding, as the contracts would compute them then.

Everything is for a timestamp at or after the block's, as if nothing happened in between.
"""

from dataclasses import dataclass
from functools import cached_property

from keeper.defi.tick_math import Q96, sqrt_price_at_tick
from keeper.defi.uniswap_oracle import mean_tick
from keeper.errors import Refused
from keeper.model.refusal import RefusalCode
from keeper.protocols.curie.feeds import index_price
from keeper.protocols.curie.reads import CLOSED, OPEN, CurieParameters, CurieReadings, MarketReading
from keeper.protocols.curie.rounding import mul_div, mul_ratio, price_of_sqrt, wad_of_x96, x96_of_wad
from keeper.protocols.curie.state import CurieMarket, CurieSource, CurieState, Observations

_SPOT_S = 15  # AccountBalance._getMarkPrice
_COLLATERAL_S = 900  # Vault._COLLATERAL_TWAP_INTERVAL
_LEAST_TWAP_S = 10  # below it UniswapV3Broker takes the price of the moment


@dataclass(frozen=True, slots=True)
class Growth:
    """Funding so far, X96 (`Funding.Growth`)."""

    premium: int
    divided: int


class MarketView:
    """One market at one time. Properties raise Refused("unpriced") where the contract would revert."""

    def __init__(self, view: "CurieView", market: CurieMarket, reading: MarketReading) -> None:
        self.market, self.reading, self._view = market, reading, view

    @cached_property
    def reference_price(self) -> int:
        """What positions are valued at (`AccountBalance._getReferencePrice`), 1e18."""
        if self.reading.status == OPEN:
            return self.mark_price
        return self.reading.closed_price if self.reading.status == CLOSED else self.reading.paused_price

    @cached_property
    def mark_price(self) -> int:
        """The median of two TWAPs of the pool and the index with its premium (`AccountBalance._getMarkPrice`)."""
        parameters = self._view.parameters
        first, second = self.market_price(_SPOT_S), self.market_price(parameters.mark_twap_interval)
        premium = self.market_price(parameters.premium_interval) - self.index_price(parameters.premium_interval)
        third = self.index_price(0) + premium
        if third < 0:
            raise Refused(RefusalCode.UNPRICED, f"the mark price of {self.market.symbol} would be negative")
        return max(min(first, second), min(max(first, second), third))

    def market_price(self, interval: int) -> int:
        """The pool's TWAP in 1e18."""
        return wad_of_x96(price_of_sqrt(self.sqrt_twap(interval)))

    def index_price(self, interval: int) -> int:
        """`BaseToken.getIndexPrice`."""
        if self.reading.status != OPEN:
            return self.reading.paused_price
        source = self.market.source
        if source is None:
            raise Refused(RefusalCode.UNSUPPORTED, f"{self.market.symbol} has no known price feed")
        return self._view.price(source, interval)

    def sqrt_twap(self, interval: int, until: int | None = None) -> int:
        """`UniswapV3Broker.getSqrtMarketTwapX96From`, over the seconds before `until` (now)."""
        if interval < _LEAST_TWAP_S:
            return self.reading.sqrt_price
        end = self._view.now if until is None else until
        return sqrt_price_at_tick(mean_tick(self.reading.ring, end, interval, floored=False))

    @cached_property
    def growth(self) -> Growth:
        """`Exchange._getFundingGrowthGlobalAndTwaps`."""
        reading, now = self.reading, self._view.now
        is_open = reading.status == OPEN
        time = now if is_open else reading.paused_at
        interval = 0
        if reading.first_traded:
            interval = min(self._view.parameters.twap_interval, time - reading.first_traded)
        market = price_of_sqrt(self.sqrt_twap(interval, time))
        index = x96_of_wad(self.index_price(interval))
        last = Growth(reading.premium, reading.divided)
        if not reading.last_settled or time == reading.last_settled:
            return last
        most = mul_ratio(index, self._view.parameters.max_funding_rate)
        change = max(-most, min(most, market - index)) * (time - reading.last_settled)
        divided = last.divided + mul_div(change, Q96, reading.sqrt_price)
        return Growth(last.premium + change, divided)


class CurieView:
    """All markets and collaterals at one time."""

    def __init__(self, state: CurieState, readings: CurieReadings, now: int) -> None:
        if readings.parameters is None:
            raise Refused(RefusalCode.UNSUPPORTED, "the protocol's parameters cannot be read")
        self.state, self.readings, self.now = state, readings, now
        self.parameters: CurieParameters = readings.parameters
        self._markets: dict[int, MarketView] = {}
        self._prices: dict[tuple[bytes, int], int] = {}

    def market(self, id_: int) -> MarketView:
        """Raises Refused("unsupported") when it could not be read: the contract might have been able to."""
        if id_ not in self._markets:
            if id_ not in self.readings.markets:
                raise Refused(RefusalCode.UNSUPPORTED, self.readings.problems.get(id_, "a market was not read"))
            self._markets[id_] = MarketView(self, self.state.markets[id_], self.readings.markets[id_])
        return self._markets[id_]

    def price(self, source: CurieSource, interval: int) -> int:
        """An index price in `source.decimals`. Raises Refused("unpriced")."""
        key = source.asked, interval
        if key not in self._prices:
            known = self.state.observations.get(source.feed, Observations())
            reading = self.readings.feeds.get(source.asked)
            self._prices[key] = index_price(source, reading, known, interval, self.now)
        return self._prices[key]

    def collateral_price(self, id_: int) -> tuple[int, int]:
        """(price, decimals of the price) that the Vault counts a collateral at. Raises Refused("unpriced")."""
        source = self.state.tokens[id_].source
        if source is None:
            raise Refused(RefusalCode.UNSUPPORTED, f"{self.state.tokens[id_].symbol} has no known price feed")
        return self.price(source, _COLLATERAL_S), source.decimals


def view_at(state: CurieState, readings: CurieReadings, now: int) -> CurieView:
    """The view of one time, made once for all accounts."""
    memo = readings.memo
    if now not in memo:
        if len(memo) > 4:
            memo.clear()
        memo[now] = CurieView(state, readings, now)
    found: CurieView = memo[now]
    return found
