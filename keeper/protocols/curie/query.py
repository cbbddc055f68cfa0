"""The planner's question: one account at one time, the executor's and the insurance fund's holdings, the limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from keeper.model.plan import token_key
from keeper.protocols.curie.account_value import AccountValue
from keeper.protocols.curie.contracts import Contracts
from keeper.protocols.curie.health import health_of
from keeper.protocols.curie.moved import CurieMoved
from keeper.protocols.curie.state import CurieHoldings

UNLIMITED = 1 << 128


@dataclass(frozen=True, slots=True)
class CurieQuery:
    """`own`, `fund`: what the executor and the insurance fund hold in the protocol. `limits`: as in
    `Protocol.opportunities`. `moved`: pools after the keeper's own earlier liquidations."""

    contracts: Contracts
    address: bytes
    account: AccountValue
    own: CurieHoldings
    fund: AccountValue
    target_wad: int
    limits: Mapping[str, int]
    moved: CurieMoved

    @property
    def balance(self) -> int:
        """Settlement token units that may be spent."""
        return self.limits.get(token_key(self.contracts.settlement), UNLIMITED)

    def left_of(self, key: str, limit: int) -> int:
        """What other plans leave of a shared limit."""
        return min(self.limits.get(key, limit), limit)

    def restored(self, after: AccountValue) -> bool:
        """Whether an account's health has reached the target."""
        return health_of(after).health_wad >= self.target_wad
