"""The engine's state from logs, and one account's holdings. Amounts in 1e18 unless said."""

from dataclasses import dataclass

from keeper.protocols.columns import Columns, TableSpec

BALANCES = "balances"
POSITIONS = "positions"
SETTLEMENT = 0  # id of the settlement token among the collaterals

TABLES = (TableSpec(BALANCES, ("amount",)), TableSpec(POSITIONS, ("size", "cost", "funding"), exposure=True))


@dataclass(frozen=True, slots=True)
class EngineSource:
    """Where a price comes from. `scale` takes the feed's answers to 1e18."""

    feed: bytes
    heartbeat_s: int
    scale: int


@dataclass(frozen=True, slots=True)
class Collateral:
    """One listed token. Balances are in its own units; `scale` takes them to 1e18. Collateral 0 has no source."""

    id: int
    token: bytes
    symbol: str
    decimals: int
    source: EngineSource | None = None
    weight: int = 0
    discount: int = 0

    @property
    def scale(self) -> int:
        return int(10 ** (18 - self.decimals))


@dataclass(frozen=True, slots=True)
class Bracket:
    """Maintenance margin of a notional n from `floor` on: n * rate - offset."""

    floor: int
    rate: int
    offset: int


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What governance set for a market."""

    source: EngineSource
    penalty: int
    keeper_share: int
    max_funding_rate: int  # share of the notional a day
    skew_scale: int
    block_cap: int
    min_notional: int
    step: int


@dataclass(frozen=True, slots=True)
class EngineMarket:
    """One market: its rules, and the open interest and funding that every trade changes."""

    id: int
    name: str
    rules: MarketRules | None = None
    brackets: tuple[Bracket, ...] = ()
    long_size: int = 0
    short_size: int = 0
    funding_index: int = 0
    funding_time: int = 0


@dataclass(frozen=True, slots=True)
class EngineState:
    """The engine-wide state, from logs."""

    collaterals: tuple[Collateral, ...] = ()
    markets: tuple[EngineMarket, ...] = ()
    pool: int = 0
    insurance_fund: int = 0
    max_post_health: int = 0
    debt_limit: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class EnginePosition:
    """One account's position in one market: signed size, signed dollars paid for it, and its funding index."""

    size: int
    cost: int
    funding: int


@dataclass(frozen=True, slots=True)
class EngineHoldings:
    """What one account holds. `collaterals` (id, token units) and `positions` (market id, position) without zeros."""

    settlement: int
    collaterals: tuple[tuple[int, int], ...] = ()
    positions: tuple[tuple[int, EnginePosition], ...] = ()

    def position(self, market: int) -> EnginePosition:
        """The position in a market; raises KeyError when there is none."""
        return dict(self.positions)[market]

    def collateral(self, id_: int) -> int:
        """Token units of a collateral."""
        return dict(self.collaterals).get(id_, 0)


def holdings_of(columns: Columns, row: int) -> EngineHoldings:
    """One account's holdings from the book's columns."""
    settlement = 0
    collaterals = []
    for id_, (amount,) in columns[BALANCES].holdings(row):
        if id_ == SETTLEMENT:
            settlement = amount
        else:
            collaterals.append((id_, amount))
    positions = tuple(
        (market, EnginePosition(*values)) for market, values in columns[POSITIONS].holdings(row) if values[0] != 0
    )
    return EngineHoldings(settlement, tuple(collaterals), positions)
