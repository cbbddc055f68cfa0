"""Perpetual Protocol v2's state from logs, and one account's holdings. Amounts in 1e18 unless said."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keeper.defi.uniswap_v3 import Pool
from keeper.model.chain import Call
from keeper.protocols.columns import Columns, TableSpec

ACCOUNT, BALANCES, POSITIONS, ORDERS = "account", "balances", "positions", "orders"
SETTLEMENT = 0  # id of the settlement token among the tokens

# Words of 256 bits stand in two columns, see `halves`.
TABLES = (
    TableSpec(ACCOUNT, ("owed", "debt_threshold", "markets")),
    TableSpec(BALANCES, ("amount",)),
    TableSpec(POSITIONS, ("size", "notional", "premium_high", "premium_low"), exposure=True),
    TableSpec(
        ORDERS,
        (
            "liquidity",
            "base_debt",
            "quote_debt",
            "fee_high",
            "fee_low",
            "inside_high",
            "inside_low",
            "below_high",
            "below_low",
            "divided_high",
            "divided_low",
        ),
        exposure=True,
    ),
)

_HALF = 1 << 128


def halves(word: int) -> tuple[int, int]:
    """A 256-bit word, signed or not, as two signed 128-bit numbers."""
    return _signed(word >> 128 & _HALF - 1), _signed(word & _HALF - 1)


def whole(high: int, low: int) -> int:
    """The unsigned word behind two halves."""
    return (high % _HALF) << 128 | low % _HALF


def signed_whole(high: int, low: int) -> int:
    return high << 128 | low % _HALF


def _signed(half: int) -> int:
    return half - _HALF if half >> 127 else half


@dataclass(frozen=True, slots=True)
class CurieSource:
    """A price: the feed that is asked, the ChainlinkPriceFeedV3 that answers, and its aggregator.

    `decimals`: of the answers that the protocol gets. `problem`: why it cannot be computed here; empty when it can.
    """

    asked: bytes
    feed: bytes = b""
    aggregator: bytes = b""
    decimals: int = 18
    feed_decimals: int = 18
    dispatched: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CurieMarket:
    """One market: its virtual base token, and the Uniswap v3 pool in which it trades against the quote token."""

    id: int
    base: bytes
    pool: bytes
    symbol: str = ""
    spacing: int = 0
    source: CurieSource | None = None


@dataclass(frozen=True, slots=True)
class CurieToken:
    """What the Vault takes. Token 0 is the settlement token, which has no source. `exits`: where it can be sold."""

    id: int
    address: bytes
    symbol: str = ""
    decimals: int = 18
    source: CurieSource | None = None
    exits: tuple[Pool, ...] = ()


@dataclass(frozen=True, slots=True)
class Range:
    """The market and the ticks of an order."""

    market: int
    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class Observations:
    """The newest prices of a feed, oldest first (`CumulativeTwap.observations`)."""

    times: tuple[int, ...] = ()
    prices: tuple[int, ...] = ()
    cumulatives: tuple[int, ...] = ()
    count: int = 0  # ever made


@dataclass(frozen=True, slots=True)
class CurieState:
    """The protocol-wide state, from logs and lookups."""

    markets: tuple[CurieMarket, ...] = ()
    tokens: tuple[CurieToken, ...] = ()
    ranges: tuple[Range, ...] = ()
    orders: Mapping[bytes, Mapping[int, int]] = field(default_factory=dict)  # account -> range id -> liquidity
    ticks: Mapping[int, Mapping[int, tuple[int, int]]] = field(default_factory=dict)  # market -> tick -> gross, net
    observations: Mapping[bytes, Observations] = field(default_factory=dict)  # by feed
    rings: Mapping[bytes, int] = field(default_factory=dict)  # pool -> places for observations
    born: bool = False  # the logs begin before the first listing: the market registry's first owner was seen
    facts: Mapping[Call, bytes | None] = field(default_factory=dict)  # answers to lookups, None for a failed one

    def market_of(self, base: bytes) -> CurieMarket | None:
        return next((market for market in self.markets if market.base == base), None)

    def token_of(self, address: bytes) -> CurieToken | None:
        return next((token for token in self.tokens if token.address == address), None)


@dataclass(frozen=True, slots=True)
class CuriePosition:
    """A taker's position in one market: signed size, signed dollars paid for it, and the premium settled last (X96)."""

    size: int
    notional: int
    premium: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """A maker's liquidity in one range, as `OrderBook` keeps it."""

    range: Range
    liquidity: int
    base_debt: int
    quote_debt: int
    fee_growth: int  # X128, wraps
    inside: int  # X96
    below: int  # X96
    divided: int  # X96


@dataclass(frozen=True, slots=True)
class CurieHoldings:
    """What one account holds. `balances` by token id, in token units; `positions` by market id; zeros left out."""

    owed: int = 0
    debt_threshold: int = 0  # in settlement token units; 0: nobody's own
    markets: int = 0  # in which it is registered
    balances: Mapping[int, int] = field(default_factory=dict)
    positions: Mapping[int, CuriePosition] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()

    @property
    def has_collateral(self) -> bool:
        return any(token != SETTLEMENT for token in self.balances)


def holdings_of(state: CurieState, columns: Columns, row: int) -> CurieHoldings:
    """One account's holdings from the book's columns."""
    owed, threshold, markets = columns[ACCOUNT].get(row, 0)
    positions = {}
    for market, (size, notional, high, low) in columns[POSITIONS].holdings(row):
        positions[market] = CuriePosition(size, notional, signed_whole(high, low))  # makers' may hold a premium alone
    orders = []
    for id_, (liquidity, base_debt, quote_debt, *words) in columns[ORDERS].holdings(row):
        if liquidity:
            fee = whole(words[0], words[1])
            inside, below, divided = (signed_whole(words[at], words[at + 1]) for at in (2, 4, 6))
            orders.append(
                Order(state.ranges[id_], liquidity % _HALF, base_debt, quote_debt, fee, inside, below, divided)
            )
    balances = {token: amount for token, (amount,) in columns[BALANCES].holdings(row)}
    return CurieHoldings(owed, threshold, markets, balances, positions, tuple(orders))
