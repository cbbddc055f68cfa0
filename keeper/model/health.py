"""Health of one account, in the protocol's exact integers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

WAD = 10**18
INFINITE_HEALTH = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Health:
    """Equity and requirement in the protocol's own scale (1e18 dollars unless its adapter says otherwise).

    `views`: what the contract's own view functions return for this account, computed locally, equal to the wei.
    """

    equity: int
    requirement: int
    liquidatable: bool
    health_wad: int  # 1e18 is the threshold; 2**256-1 where nothing is required
    views: Mapping[str, int | bool] = field(default_factory=dict)


def ratio_wad(equity: int, requirement: int) -> int:
    """equity / requirement in 1e18, floored; infinite when nothing is required and nothing is owed."""
    if requirement == 0:
        return INFINITE_HEALTH if equity >= 0 else -INFINITE_HEALTH
    return equity * WAD // requirement


def shown(health_wad: int) -> str:
    """Health as text: `inf` where nothing is required, `-inf` where in addition the equity is negative."""
    if abs(health_wad) == INFINITE_HEALTH:
        return "inf" if health_wad > 0 else "-inf"
    return f"{health_wad / WAD:.4f}"
