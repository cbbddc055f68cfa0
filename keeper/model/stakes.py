"""What a call is about, as its calldata says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stakes:
    """What calldata moves, and whether the book's accounts are as it says.

    `accounts`: those that it liquidates. `assets`: tokens as 0x and 40 lower-case hex digits, markets without a token
    by name. `notional_wad`: dollars (1e18) at the snapshot's prices, None where a price is missing. `misfit`: why the
    book contradicts the call, such as a position of the other side; empty when it does not. `doubt`: the same, where
    it depends on prices or the time: the call is refused for this block only.
    """

    accounts: tuple[bytes, ...]
    assets: frozenset[str]
    notional_wad: int | None
    misfit: str = ""
    doubt: str = ""

    def __add__(self, other: "Stakes") -> "Stakes":
        """Both together, as a batch has them."""
        known = self.notional_wad is not None and other.notional_wad is not None
        return Stakes(
            self.accounts + other.accounts,
            self.assets | other.assets,
            (self.notional_wad or 0) + (other.notional_wad or 0) if known else None,
            self.misfit or other.misfit,
            self.doubt or other.doubt,
        )


def asset_of(token: bytes) -> str:
    """A token as `Stakes.assets` names it."""
    return "0x" + token.hex()
