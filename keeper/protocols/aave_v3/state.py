"""The pool's state from logs, and one account's holdings. Scaled amounts are in the tokens' own units."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keeper.protocols.columns import Columns, TableSpec

SUPPLIES = "supplies"  # a row a reserve: scaled aTokens, and whether they are collateral
DEBTS = "debts"  # a row a reserve: scaled variable debt, stable debt with rate and time, and the borrowing flag
ACCOUNTS = "accounts"  # one row, asset 0: the eMode category

TABLES = (
    TableSpec(SUPPLIES, ("scaled", "collateral")),
    TableSpec(DEBTS, ("scaled", "principal", "rate", "since", "borrowing"), exposure=True),
    TableSpec(ACCOUNTS, ("category",)),
)


@dataclass(frozen=True, slots=True)
class Reserve:
    """One listed asset. `index` is ours and never changes, `id` the pool's: where its flags are in users' bitmaps."""

    index: int
    id: int
    asset: bytes
    symbol: str
    supply_token: bytes
    debt_token: bytes
    stable_token: bytes = b""
    decimals: int = 18
    dropped: bool = False

    @property
    def tokens(self) -> tuple[bytes, ...]:
        return tuple(token for token in (self.supply_token, self.debt_token, self.stable_token) if token)


@dataclass(frozen=True, slots=True)
class AaveState:
    """Everything that logs say of the pool. `categories`: eMode -> the asset whose price stands for all of it, empty
    when each has its own (3.6 knows no such thing). `sources`: asset -> where the oracle takes its price from."""

    oracle: bytes
    sentinel: bytes
    reserves: tuple[Reserve, ...] = ()
    categories: Mapping[int, bytes] = field(default_factory=dict)
    sources: Mapping[bytes, bytes] = field(default_factory=dict)
    announced: frozenset[bytes] = frozenset()  # aTokens whose listing is in the logs

    def listed(self) -> list[Reserve]:
        return [reserve for reserve in self.reserves if not reserve.dropped]


@dataclass(frozen=True, slots=True)
class Supply:
    """aTokens of one reserve."""

    scaled: int
    collateral: bool


@dataclass(frozen=True, slots=True)
class Debt:
    """What is owed of one reserve: scaled variable debt, and a stable debt's principal, rate (ray) and time."""

    scaled: int
    principal: int = 0
    rate: int = 0
    since: int = 0
    borrowing: bool = True

    @classmethod
    def of(cls, values: tuple[int, ...]) -> "Debt":
        """From a row of the table."""
        scaled, principal, rate, since, borrowing = values
        return cls(scaled, principal, rate, since, bool(borrowing))


@dataclass(frozen=True, slots=True)
class AaveHoldings:
    """What one account holds, by the reserves' index."""

    category: int
    supplies: Mapping[int, Supply]
    debts: Mapping[int, Debt]


def holdings_of(columns: Columns, row: int) -> AaveHoldings:
    """One account's holdings from the book's columns."""
    categories = dict(columns[ACCOUNTS].holdings(row))
    return AaveHoldings(
        categories.get(0, (0,))[0],
        {index: Supply(scaled, bool(flag)) for index, (scaled, flag) in columns[SUPPLIES].holdings(row)},
        {index: Debt.of(values) for index, values in columns[DEBTS].holdings(row)},
    )
