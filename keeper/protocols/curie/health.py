"""One account's health: liquidatable when either test holds, of its positions or of its collateral."""

from keeper.model.health import INFINITE_HEALTH, Health, ratio_wad
from keeper.protocols.curie.account_value import AccountValue


def health_of(account: AccountValue) -> Health:
    """Equity and requirement are the position test's; `health_wad` is the lowest of all tests. Raises Refused."""
    value, requirement = account.account_value, account.requirement
    seizable = account.seizable
    views: dict[str, int | bool] = {
        "getAccountValue": value,
        "getMarginRequirementForLiquidation": requirement,
        "isLiquidatable": seizable,
    }
    health = ratio_wad(value, requirement)
    if account.holdings.has_collateral:
        health = min(health, *_collateral_ratios(account))
    return Health(value, requirement, account.liquidatable or seizable, health, views)


def _collateral_ratios(account: AccountValue) -> list[int]:
    """Each of the Vault's tests as a ratio in 1e18, below 1e18 where it holds."""
    by_collateral, by_threshold = account.most_debt
    debt = account.settlement_debt
    ratios = [ratio_wad(account.exact_value, account.collateral_requirement)]
    for most, owed in ((by_collateral, debt), (by_threshold, debt // account.unit)):
        ratios.append(ratio_wad(most, owed) if owed else INFINITE_HEALTH)
    return ratios
