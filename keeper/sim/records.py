"""What is recorded of each block: accounts by the contracts' own views, and liquidations by their logs."""

from collections.abc import Mapping
from dataclasses import dataclass

from keeper.model.health import WAD


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account by the contract's own views, in 1e18 dollars. Where `equity` is
    weighted, `worth` is the account's net worth; where health alone does not decide, `liquidatable` does.
    """

    equity: int
    requirement: int
    worth: int | None = None
    liquidatable: bool | None = None

    @property
    def unsafe(self) -> bool:
        return self.equity < self.requirement if self.liquidatable is None else self.liquidatable

    @property
    def health(self) -> float:
        """Equity over requirement; plus or minus infinity when nothing is required."""
        if self.requirement:
            return self.equity / self.requirement
        return float("inf") if self.equity >= 0 else float("-inf")

    @property
    def shortfall_usd(self) -> float:
        """Negative net worth: what creditors lose if the account is closed now."""
        return max(0, -(self.equity if self.worth is None else self.worth)) / WAD


@dataclass(frozen=True, slots=True)
class LiquidationRecord:
    """One liquidation or seizure, from its logs. Dollars at the block's prices."""

    block: int
    account: bytes
    kind: str  # "liquidate", "seize"
    subject: str  # market or token
    notional_usd: float
    reward_usd: float
    gas_usd: float
    full: bool  # the position is closed, or the collateral is gone
    tx_hash: str


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """One block: `states` in the order of `accounts`; fees and gas of the keeper's transactions in wei."""

    number: int
    timestamp: int
    base_fee: int
    gas_used: int
    gas_limit: int
    phase: str
    prices: Mapping[str, float]
    accounts: tuple[bytes, ...]
    states: tuple[AccountState, ...]
    liquidations: tuple[LiquidationRecord, ...] = ()
    bad_debt_usd: float = 0.0
    debtors: frozenset[bytes] = frozenset()  # whose debts were written off
    gas_wei: int = 0
    gas_usd: float = 0.0
    mined: int = 0
    reverted: int = 0

    @property
    def unsafe(self) -> int:
        return sum(state.unsafe for state in self.states)

    @property
    def shortfall_usd(self) -> float:
        return sum(state.shortfall_usd for state in self.states)
