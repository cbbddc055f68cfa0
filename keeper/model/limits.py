"""The operator's limits on what is traded: on accounts, on assets, on dollars, on transactions."""

from dataclasses import dataclass

from keeper.model.health import WAD
from keeper.model.stakes import Stakes


@dataclass(frozen=True, slots=True)
class TradeLimits:
    """What the settings allow; by default everything. Notional is in dollars (1e18), assets are as in `Stakes.assets`.

    `messages_block`: transactions signed in a block. Empty lists of `only_...` allow all.
    """

    notional_wad: int | None = None  # of one transaction
    notional_block_wad: int | None = None  # of all new transactions of a block
    messages_block: int | None = None
    only_accounts: frozenset[bytes] = frozenset()
    denied_accounts: frozenset[bytes] = frozenset()
    only_assets: frozenset[str] = frozenset()
    denied_assets: frozenset[str] = frozenset()

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        return self != TradeLimits()

    @property
    def need_stakes(self) -> bool:
        """Whether any of them depends on what a call is about."""
        lists = self.only_accounts | self.denied_accounts, self.only_assets | self.denied_assets
        return any(lists) or self.notional_wad is not None or self.notional_block_wad is not None

    def refusal(self, stakes: Stakes | None) -> str:
        """Why one transaction is not allowed, with the setting's name; empty when it is."""
        if stakes is None:
            return "the adapter does not say what the call is about" if self.need_stakes else ""
        listed = _listed(stakes, self)
        if listed or self.notional_wad is None:
            return listed
        if stakes.notional_wad is None:
            return "its notional is unknown, and KEEPER_MAX_NOTIONAL_USD is set"
        most, its = dollars(self.notional_wad), dollars(stakes.notional_wad)
        return (
            f"its notional is {its}, KEEPER_MAX_NOTIONAL_USD is {most}"
            if stakes.notional_wad > self.notional_wad
            else ""
        )


def _listed(stakes: Stakes, limits: TradeLimits) -> str:
    """Which list forbids it."""
    accounts, assets = set(stakes.accounts), stakes.assets
    names = {
        "in KEEPER_DENY_ACCOUNTS": accounts & limits.denied_accounts,
        "not in KEEPER_ALLOW_ACCOUNTS": accounts - limits.only_accounts if limits.only_accounts else set(),
    }
    found = {why: [f"account 0x{account.hex()}" for account in sorted(those)] for why, those in names.items()}
    tokens = {
        "in KEEPER_DENY_ASSETS": assets & limits.denied_assets,
        "not in KEEPER_ALLOW_ASSETS": assets - limits.only_assets if limits.only_assets else frozenset[str](),
    }
    found |= {why: [f"asset {asset}" for asset in sorted(those)] for why, those in tokens.items()}
    return next((f"{those[0]} is {why}" for why, those in found.items() if those), "")


def dollars(wad: int) -> str:
    return f"{wad / WAD:,.2f} USD"
