"""Calls of the executor contract (`contracts/src/KeeperExecutor.sol`), and what its answers mean.

For adapters whose liquidations are one atomic call to it. Amounts are in units of the token that each field names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.exceptions import DecodingError

from keeper.abi import load_abi, load_creation
from keeper.model.chain import Call, CallResult, Log, unhexed
from keeper.protocols.base import Revert, RevertAction

# Gas used by whole transactions, measured on the published bytecode on anvil (tests/integration/protocols/executor): the largest
# of 6 to 40 liquidations each, rounded up. A swap that crosses an initialized tick takes some 25,000 more for each.
AAVE_GAS = 400_000  # 3.0.2, own funds, one collateral and one debt, without swaps; 3.6 takes 70,000 less
AAVE_RESERVE_GAS = 30_000  # each further reserve that the account uses
FLASH_LOAN_GAS = 85_000
HOP_GAS = 95_000  # each Uniswap v3 pool of a swap
CURIE_GAS = 2_000_000  # deposit, liquidate, close, withdraw
CURIE_ORDER_GAS = 550_000  # each of a maker's orders that is cancelled first
CURIE_COLLATERAL_GAS = 810_000  # without swaps
BATCH_GAS = 8_500  # a batch of one, beyond what its step takes alone
# What each further step of a batch in the same market takes less than alone, at least: what it touches is warm.
AAVE_BATCH_SAVES = 190_000
CURIE_BATCH_SAVES = 380_000

_EXECUTOR = load_abi("KeeperExecutor")
_LIQUIDATED = _EXECUTOR.events["Liquidated"]
_STEP_FAILED = _EXECUTOR.events["StepFailed"]
_PANIC = bytes.fromhex("4e487b71")
_ERROR = bytes.fromhex("08c379a0")
_WORD = 32
_RETRY, _BUG = RevertAction.RETRY, RevertAction.BUG

ACTIONS = {
    # Prices, pools or competitors moved between our block and the one that executed: size it again.
    "Unprofitable": _RETRY,
    "Shortfall": _RETRY,
    "PositionLeft": _RETRY,
    "MarginLeft": _RETRY,
    "TooLittleGas": _RETRY,
    "SafeERC20FailedOperation": _RETRY,
    # Reverting so would be our own mistake.
    "NotOwner": _BUG,
    "NotAPool": _BUG,
    "BadRoute": _BUG,
    "Unexpected": _BUG,
    "Reentered": _BUG,
    "BadBatch": _BUG,
    "SafeCastOverflowedIntToUint": _BUG,
    "SafeCastOverflowedUintToInt": _BUG,
}


@dataclass(frozen=True, slots=True)
class Swap:
    """Everything that a liquidation gave, through Uniswap v3 pools in order. No pools: it is what is wanted already."""

    pools: tuple[bytes, ...] = ()
    min_out: int = 0

    def words(self) -> tuple[Any, ...]:
        return (self.pools, self.min_out)


@dataclass(frozen=True, slots=True)
class AaveLiquidation:
    """Repay debt, take collateral, sell it. `repay`, `min_profit`: units of the debt token; negative: a cost."""

    pool: bytes
    account: bytes
    collateral: bytes
    debt: bytes
    repay: int
    flash_loan: bool
    swap: Swap
    min_profit: int

    def data(self) -> bytes:
        """Calldata for the executor."""
        order = (self.pool, self.account, self.collateral, self.debt, self.repay, self.flash_loan)
        return _EXECUTOR.functions["liquidateAave"].encode((*order, self.swap.words(), self.min_profit))


@dataclass(frozen=True, slots=True)
class CurieLiquidation:
    """Take a position over and close it. `margin`, `min_profit`: units of the settlement token; negative: a cost.

    `size`: signed, as the account holds it, 0 for the most allowed. `opposite_amount_bound`: least quote for closing a
    long, most for a short, 0 for none. `sqrt_price_limit_x96`: of the closing trade, 0 for the market's own.
    """

    clearing_house: bytes
    account: bytes
    base_token: bytes
    size: int
    margin: int
    cancel_orders: bool
    sqrt_price_limit_x96: int
    opposite_amount_bound: int
    min_profit: int

    def data(self) -> bytes:
        """Calldata for the executor."""
        order = (self.clearing_house, self.account, self.base_token, self.size, self.margin, self.cancel_orders)
        bounds = (self.sqrt_price_limit_x96, self.opposite_amount_bound, self.min_profit)
        return _EXECUTOR.functions["liquidateCurie"].encode((*order, *bounds))


@dataclass(frozen=True, slots=True)
class CurieCollateral:
    """Buy an account's collateral and sell it. `amount`, `min_profit`: units of the settlement token."""

    vault: bytes
    account: bytes
    collateral: bytes
    amount: int
    swap: Swap
    min_profit: int

    def data(self) -> bytes:
        """Calldata for the executor."""
        order = (self.vault, self.account, self.collateral, self.amount, self.swap.words(), self.min_profit)
        return _EXECUTOR.functions["liquidateCurieCollateral"].encode(order)


@dataclass(frozen=True, slots=True)
class Batch:
    """Several of the above in one transaction: (calldata, gas limit) each; `min_profit` of `token` for all together."""

    steps: tuple[tuple[bytes, int], ...]
    token: bytes
    min_profit: int

    def data(self) -> bytes:
        """Calldata for the executor."""
        calls, limits = [step[0] for step in self.steps], [step[1] for step in self.steps]
        return _EXECUTOR.functions["batch"].encode(calls, limits, self.token, self.min_profit)


@dataclass(frozen=True, slots=True)
class Ties:
    """Whom an executor obeys, and whose Uniswap v3 pools it trades with."""

    owner: bytes
    factory: bytes


def ties_calls(executor: bytes) -> list[Call]:
    """What `ties` decodes."""
    return [Call(executor, _EXECUTOR.functions[name].encode()) for name in ("owner", "factory")]


def ties(results: Sequence[CallResult]) -> Ties | None:
    """None when the answers are not an executor's."""
    if any(not result.ok or len(result.data) != _WORD or any(result.data[:12]) for result in results):
        return None
    return Ties(*(result.data[12:] for result in results))


def creation(owner: bytes, factory: bytes) -> bytes:
    """Creation code of an executor, with its constructor's arguments."""
    return load_creation("KeeperExecutor") + owner.rjust(_WORD, b"\0") + factory.rjust(_WORD, b"\0")


def sweep(token: bytes, amount: int) -> bytes:
    """Calldata that sends so many units of a token to the executor's owner."""
    return _EXECUTOR.functions["sweep"].encode(token, amount)


def order_of(data: bytes) -> "Order | None":
    """The order behind calldata; None when it is something else."""
    try:
        if data[:4] == _EXECUTOR.functions["liquidateAave"].selector:
            [words] = _EXECUTOR.functions["liquidateAave"].arguments(data)
            pool, account, collateral, debt = (unhexed(word) for word in words[:4])
            repay, flash_loan, swap, least = words[4:]
            return AaveLiquidation(pool, account, collateral, debt, repay, flash_loan, _swap_of(swap), least)
        if data[:4] == _EXECUTOR.functions["liquidateCurie"].selector:
            [words] = _EXECUTOR.functions["liquidateCurie"].arguments(data)
            house, account, base = (unhexed(word) for word in words[:3])
            return CurieLiquidation(house, account, base, *words[3:])
        if data[:4] == _EXECUTOR.functions["liquidateCurieCollateral"].selector:
            [words] = _EXECUTOR.functions["liquidateCurieCollateral"].arguments(data)
            vault, account, collateral = (unhexed(word) for word in words[:3])
            return CurieCollateral(vault, account, collateral, words[3], _swap_of(words[4]), words[5])
        if data[:4] == _EXECUTOR.functions["batch"].selector:
            steps, limits, token, least = _EXECUTOR.functions["batch"].arguments(data)
            return Batch(tuple(zip(steps, limits, strict=True)), unhexed(token), least)
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


Single = AaveLiquidation | CurieLiquidation | CurieCollateral
Order = Single | Batch


def call(executor: bytes, order: Order) -> Call:
    """The transaction that carries an order out."""
    return Call(executor, order.data())


@dataclass(frozen=True, slots=True)
class Liquidated:
    """What one liquidation earned, by balance: units of `token`, negative for a cost."""

    account: bytes
    token: bytes
    profit: int


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step of a batch that was undone; `reason` is its revert data."""

    index: int
    reason: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step of a batch came to, as the call returns it. `profit`: units of the step's own token."""

    success: bool
    profit: int
    gas_used: int
    reason: bytes


def liquidated(executor: bytes, logs: Sequence[Log]) -> list[Liquidated]:
    """The liquidations that the executor announces in a transaction's logs."""
    found = []
    for log in _of(executor, logs, _LIQUIDATED.topic):
        [profit] = _LIQUIDATED.decode(log)[1]
        found.append(Liquidated(log.topics[1][12:], log.topics[2][12:], profit))
    return found


def steps_failed(executor: bytes, logs: Sequence[Log]) -> list[StepFailed]:
    """The failed steps that the executor announces in a batch's logs."""
    found = []
    for log in _of(executor, logs, _STEP_FAILED.topic):
        [index], [reason] = _STEP_FAILED.decode(log)
        found.append(StepFailed(index, reason))
    return found


def outcomes(data: bytes) -> list[Outcome]:
    """What a simulated batch returned. Raises eth_abi's DecodingError when that is something else."""
    return [Outcome(*words) for words in _EXECUTOR.functions["batch"].decode(data)[0]]


def explain(data: bytes, messages: Mapping[str, RevertAction] | None = None) -> Revert:
    """Decode revert data: the executor's own reasons, and texts.

    messages: the protocol's own texts, which name the reason; any other text is an "Error". What is unknown is named
    by its selector and may pass.
    """
    selector = data[:4]
    error = _EXECUTOR.errors.get(selector)
    try:
        if error is not None:
            return Revert(error.name, error.decode(data), ACTIONS[error.name])
        if selector == _PANIC:
            return Revert("Panic", (int.from_bytes(data[4:36], "big"),), _BUG)
    except DecodingError:
        pass
    if selector == _ERROR:
        return _text(data, messages or {})
    return Revert(f"0x{selector.hex()}" if selector else "no reason", (), _RETRY)


def _text(data: bytes, messages: Mapping[str, RevertAction]) -> Revert:
    length = int.from_bytes(data[36:68], "big")
    text = data[68 : 68 + length].decode("utf-8", errors="replace")
    if text in messages:
        return Revert(text, (), messages[text])
    return Revert("Error", (text,), _RETRY)


def _of(executor: bytes, logs: Sequence[Log], topic: bytes) -> list[Log]:
    return [log for log in logs if log.address == executor and log.topics and log.topics[0] == topic]
