"""Health of all accounts in one block: which are unsafe, which cannot be judged, which is nearest to liquidation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keeper.model.health import Health


@dataclass(frozen=True, slots=True)
class Unsafe:
    """An account that is liquidatable by exact integers."""

    row: int
    address: bytes
    health: Health


@dataclass(frozen=True, slots=True)
class Nearest:
    """The account that is not liquidatable and has the lowest float64 health."""

    address: bytes
    health: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """All accounts at one timestamp. `unsafe` is most urgent first: lowest health, then address."""

    unsafe: tuple[Unsafe, ...] = ()
    unpriced: tuple[bytes, ...] = ()  # active accounts that depend on a price that cannot be used, by address
    accounts: int = 0  # rows screened
    active: int = 0  # of them, holding anything
    decided: int = 0  # of them, decided in integers
    nearest: Nearest | None = None
    # Accounts that cannot be judged: address -> (code, why), as of `Refused`. Those "unpriced" are in `unpriced`, too.
    refused: Mapping[bytes, tuple[str, str]] = field(default_factory=dict)
