"""What the planner asks about: one account at one time, who liquidates, and with how much."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keeper.model.plan import token_key
from keeper.protocols.curie.account_value import AccountValue
from keeper.protocols.curie.contracts import Contracts
from keeper.protocols.curie.health import health_of
from keeper.protocols.curie.state import Holdings

UNLIMITED = 1 << 128


@dataclass(frozen=True, slots=True)
class Query:
    """`own`, `fund`: what the executor and the insurance fund hold in the protocol. `limits`: as the planner gives."""

    contracts: Contracts
    address: bytes
    standing: AccountValue
    own: Holdings
    fund: AccountValue
    target_wad: int
    limits: Mapping[str, int]

    @property
    def purse(self) -> int:
        """Settlement token units that may be spent."""
        return self.limits.get(token_key(self.contracts.settlement), UNLIMITED)

    def left_of(self, key: str, limit: int) -> int:
        """What other plans leave of a shared limit."""
        return min(self.limits.get(key, limit), limit)

    def restored(self, after: AccountValue) -> bool:
        """Whether an account is where the target wants it."""
        return health_of(after).health_wad >= self.target_wad


def smallest(holds: Callable[[int], bool], most: int, guess: int = 0) -> int:
    """The smallest of 1..most from which on a condition holds, `most` when it never does.

    A good guess costs a few evaluations, none twice the logarithm of the range.
    """
    if not holds(most):
        return most
    low, high = 0, most
    middle = min(max(guess, 1), most - 1) or 1
    stride = 1
    while guess and 0 < middle < most:  # away from the guess until the answer is between
        if holds(middle):
            high, middle = middle, middle - stride
            if middle <= low:
                break
        else:
            low, middle = middle, middle + stride
            if middle >= high:
                break
        stride *= 4
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
