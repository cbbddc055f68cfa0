"""One account's health: liquidatable when either test holds, of its positions or of its collateral."""

from keeper.model.health import INFINITE_HEALTH, Health, ratio_wad
from keeper.protocols.curie.account_value import AccountValue


def health_of(standing: AccountValue) -> Health:
    """Equity and requirement are the position test's; `health_wad` is the lowest of all tests. Raises Refused."""
    value, requirement = standing.account_value, standing.requirement
    seizable = standing.seizable
    views: dict[str, int | bool] = {
        "getAccountValue": value,
        "getMarginRequirementForLiquidation": requirement,
        "isLiquidatable": seizable,
    }
    health = ratio_wad(value, requirement)
    if standing.holdings.has_collateral:
        health = min(health, *_collateral_ratios(standing))
    return Health(value, requirement, standing.liquidatable or seizable, health, views)


def _collateral_ratios(standing: AccountValue) -> list[int]:
    """Each of the Vault's tests as a ratio in 1e18, below 1e18 where it holds."""
    by_collateral, by_threshold = standing.most_debt
    debt = standing.settlement_debt
    ratios = [ratio_wad(standing.exact_value, standing.collateral_requirement)]
    for most, owed in ((by_collateral, debt), (by_threshold, debt // standing.unit)):
        ratios.append(ratio_wad(most, owed) if owed else INFINITE_HEALTH)
    return ratios
