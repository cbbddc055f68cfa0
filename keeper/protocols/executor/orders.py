"""What the executor can be asked to do, and its calldata. Amounts are in units of the token that each field names."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Any, ClassVar

from eth_abi.exceptions import DecodingError

from keeper.model.chain import Call, unhexed
from keeper.protocols.base import NEVER
from keeper.protocols.executor.contract import FUNCTIONS
from keeper.protocols.executor.gas import AAVE_BATCH_SAVES, COLLATERAL_BATCH_SAVES, CURIE_BATCH_SAVES


@dataclass(frozen=True, slots=True)
class Swap:
    """Sells all proceeds through Uniswap v3 pools in order. No pools: the proceeds are in the wanted token already."""

    pools: tuple[bytes, ...] = ()
    min_out: int = 0

    def words(self) -> tuple[Any, ...]:
        return (self.pools, self.min_out)


@dataclass(frozen=True, slots=True)
class AaveLiquidation:
    """Repay debt, take collateral, sell it. `repay`, `min_profit`: units of the debt token."""

    saves_gas: ClassVar[int] = AAVE_BATCH_SAVES  # of each further step in a batch

    pool: bytes
    account: bytes
    collateral: bytes
    debt: bytes
    repay: int
    flash_loan: bool
    swap: Swap
    min_profit: int
    deadline: int = NEVER  # unix seconds

    def data(self) -> bytes:
        """Calldata for the executor."""
        order = (self.pool, self.account, self.collateral, self.debt, self.repay, self.flash_loan)
        return FUNCTIONS["liquidateAave"].encode((*order, self.swap.words(), self.min_profit, self.deadline))


@dataclass(frozen=True, slots=True)
class CurieLiquidation:
    """Take a position over and close it. `margin`, `min_profit`: units of the settlement token.

    `size`: signed, as the account holds it, 0 for the most allowed. `opposite_amount_bound`: least quote for closing a
    long, most for a short, 0 for none. `sqrt_price_limit_x96`: of the closing trade, 0 for the market's own.
    """

    saves_gas: ClassVar[int] = CURIE_BATCH_SAVES  # of each further step in a batch

    clearing_house: bytes
    account: bytes
    base_token: bytes
    size: int
    margin: int
    cancel_orders: bool
    sqrt_price_limit_x96: int
    opposite_amount_bound: int
    min_profit: int
    deadline: int = NEVER  # unix seconds

    def data(self) -> bytes:
        """Calldata for the executor."""
        order = (self.clearing_house, self.account, self.base_token, self.size, self.margin, self.cancel_orders)
        bounds = (self.sqrt_price_limit_x96, self.opposite_amount_bound, self.min_profit, self.deadline)
        return FUNCTIONS["liquidateCurie"].encode((*order, *bounds))


@dataclass(frozen=True, slots=True)
class CurieCollateral:
    """Buy an account's collateral and sell it. `amount`, `min_profit`: units of the settlement token."""

    saves_gas: ClassVar[int] = COLLATERAL_BATCH_SAVES  # of each further step in a batch

    vault: bytes
    account: bytes
    collateral: bytes
    amount: int
    swap: Swap
    min_profit: int
    deadline: int = NEVER  # unix seconds

    def data(self) -> bytes:
        """Calldata for the executor."""
        order = (self.vault, self.account, self.collateral, self.amount, self.swap.words())
        return FUNCTIONS["liquidateCurieCollateral"].encode((*order, self.min_profit, self.deadline))


@dataclass(frozen=True, slots=True)
class Batch:
    """Several of the above in one transaction: (calldata, gas limit) each; `min_profit` of `token` for all together."""

    steps: tuple[tuple[bytes, int], ...]
    token: bytes
    min_profit: int
    deadline: int = NEVER  # unix seconds

    def data(self) -> bytes:
        """Calldata for the executor."""
        calls, limits = [step[0] for step in self.steps], [step[1] for step in self.steps]
        return FUNCTIONS["batch"].encode(calls, limits, self.token, self.min_profit, self.deadline)


Single = AaveLiquidation | CurieLiquidation | CurieCollateral
Order = Single | Batch


def least_out(quoted: int, max_slip: Fraction) -> int:
    """The least that a sale may bring: its quote less the slip that is allowed, a share of it."""
    return floor(quoted * (1 - max_slip))


def most_in(quoted: int, max_slip: Fraction) -> int:
    """The most that a purchase may cost: its quote and the slip that is allowed, a share of it."""
    return ceil(quoted * (1 + max_slip))


def call(executor: bytes, order: Order) -> Call:
    """The call that executes an order."""
    return Call(executor, order.data())


@lru_cache(maxsize=1_024)
def order_of(data: bytes) -> Order | None:
    """The order behind calldata, whose `data` is that calldata again; None when it is something else."""
    try:
        if data[:4] == FUNCTIONS["liquidateAave"].selector:
            [words] = FUNCTIONS["liquidateAave"].arguments(data)
            pool, account, collateral, debt = (unhexed(word) for word in words[:4])
            repay, flash_loan, swap, *bounds = words[4:]
            return AaveLiquidation(pool, account, collateral, debt, repay, flash_loan, _swap_of(swap), *bounds)
        if data[:4] == FUNCTIONS["liquidateCurie"].selector:
            [words] = FUNCTIONS["liquidateCurie"].arguments(data)
            house, account, base = (unhexed(word) for word in words[:3])
            return CurieLiquidation(house, account, base, *words[3:])
        if data[:4] == FUNCTIONS["liquidateCurieCollateral"].selector:
            [words] = FUNCTIONS["liquidateCurieCollateral"].arguments(data)
            vault, account, collateral = (unhexed(word) for word in words[:3])
            return CurieCollateral(vault, account, collateral, words[3], _swap_of(words[4]), *words[5:])
        if data[:4] == FUNCTIONS["batch"].selector:
            steps, limits, token, *bounds = FUNCTIONS["batch"].arguments(data)
            return Batch(tuple(zip(steps, limits, strict=True)), unhexed(token), *bounds)
    except (DecodingError, ValueError):
        pass
    return None


def accounts_of(data: bytes) -> list[bytes]:
    """The accounts that calldata liquidates."""
    order = order_of(data)
    if isinstance(order, Batch):
        return [account for step, _ in order.steps for account in accounts_of(step)]
    return [order.account] if order else []


def _swap_of(words: tuple[Any, ...]) -> Swap:
    return Swap(tuple(unhexed(pool) for pool in words[0]), words[1])
