"""The market's data, by source: read once at the start, taken from logs, or read in every block."""

from dataclasses import dataclass

from keeper.protocols.columns import Columns, TableSpec

COLLATERAL = "collateral"
DEBT = "debt"
ONLY = 0  # asset id: there is one collateral and one debt token
TABLES = (TableSpec(COLLATERAL, ("amount",)), TableSpec(DEBT, ("shares",), exposure=True))


@dataclass(frozen=True, slots=True)
class Token:
    """`scale` takes units to 1e18."""

    address: bytes
    symbol: str
    decimals: int

    @property
    def scale(self) -> int:
        return int(10 ** (18 - self.decimals))


@dataclass(frozen=True, slots=True)
class Terms:
    """What the contract fixed at its deployment: found out once, before the first log. Ratios in 1e18."""

    collateral: Token
    debt: Token
    feed: bytes
    feed_scale: int  # takes answers to 1e18
    heartbeat: int  # seconds
    threshold: int
    bonus: int


@dataclass(frozen=True, slots=True)
class Market:
    """What logs say of the market as a whole."""

    paused: bool = False
    total_collateral: int = 0


@dataclass(frozen=True, slots=True)
class Readings:
    """What no log announces. The price is the feed's answer in 1e18; a problem makes it unusable whenever."""

    price: int
    updated_at: int
    problem: str
    index: int  # 1e27, as of index_time
    index_time: int
    rate: int  # 1e27 a second


@dataclass(frozen=True, slots=True)
class Holdings:
    """What one account holds: collateral units, and shares of the debt."""

    collateral: int
    shares: int


def holdings_of(columns: Columns, row: int) -> Holdings:
    return Holdings(columns[COLLATERAL].get(row, ONLY)[0], columns[DEBT].get(row, ONLY)[0])
