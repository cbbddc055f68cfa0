"""The plug-in interface: the keeper knows a protocol only through `Protocol`.

An adapter is pure: it names the logs and the reads that carry the protocol's state, folds and decodes them, computes
health and legal liquidations from a `Snapshot`, and encodes calls. It never does I/O, so the same code runs live, in
a dry run and in a test. Third parties register a class in the entry-point group `keeper.protocols`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any, ClassVar, Protocol as Interface, Self

import numpy as np

from keeper.model.chain import BlockRef, Call, CallResult, Log, LogFilter
from keeper.model.data_fees import NO_DATA_FEES, DataFees
from keeper.model.health import Health
from keeper.model.plan import Opportunity, OwnLiquidation
from keeper.model.stakes import Stakes
from keeper.protocols.columns import Columns, TableSpec, Writer

EXECUTOR = "Executor"  # the optional contract of a deployment that holds the keeper's capital and liquidates with it
NEVER = 2**64 - 1  # the deadline of a call that has none


@dataclass(frozen=True, slots=True)
class Means:
    """What the keeper liquidates with. `keeper`: its address, empty when no signer is known (reading, a dry run)."""

    keeper: bytes = b""
    flash_loans: bool = True  # may be taken
    max_slip: Fraction = Fraction(1)  # share by which a sale may bring less than its quote; 1: no bound


@dataclass(frozen=True, slots=True)
class Deployment:
    """The deployment file: where a protocol lives. Addresses are raw bytes."""

    protocol: str
    chain_id: int
    start_block: int
    contracts: Mapping[str, bytes]
    means: Means = Means()

    @property
    def executor(self) -> bytes:
        """The keeper's executor contract, empty when there is none."""
        return self.contracts.get(EXECUTOR, b"")

    @property
    def holder(self) -> bytes:
        """Whose tokens pay for liquidations: the executor, else the keeper itself; empty when neither is known."""
        return self.executor or self.means.keeper


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every account as of ONE block.

    `state` is what logs say of the protocol as a whole (parameters, totals), `columns` what they say of accounts,
    `readings` what no log announces (prices, indices), read at this block's hash. Both are the adapter's own types.
    `data_fees`: what the chain charges for calldata.
    """

    block: BlockRef
    state: Any
    columns: Columns
    readings: Any
    moved: Any = None  # pools after the keeper's own liquidations that execute first (`Protocol.after`)
    data_fees: DataFees = NO_DATA_FEES


@dataclass(frozen=True, slots=True)
class Screen:
    """Float64 health of all accounts: arrays of one length, a row an account.

    The exact slack (equity - requirement, dollars) lies within `slack` +- `bound`; an account whose slack could be
    below zero within the bound is decided in integers. `active`: holds a position or debt or anything at all.
    """

    slack: np.ndarray  # float64 dollars
    bound: np.ndarray  # float64 dollars, >= 0
    health: np.ndarray  # float64, inf where nothing is required
    active: np.ndarray  # bool
    unpriced: np.ndarray  # bool: depends on a price that cannot be used


class RevertAction(StrEnum):
    """What to do about a revert reason."""

    RETRY = "retry"  # may work in a later block
    SKIP = "skip"  # the account is no longer for us
    HOLD = "hold"  # the protocol is not taking liquidations
    BUG = "bug"  # our size or arithmetic is wrong


@dataclass(frozen=True, slots=True)
class Revert:
    """A decoded revert reason."""

    name: str
    args: tuple[Any, ...]
    action: RevertAction

    @property
    def is_foreign(self) -> bool:
        """Not one of the protocol's own reasons: any contract, or a token that refuses a transfer, may revert so."""
        return self.name in ("Error", "Panic", "no reason", "SafeERC20FailedOperation") or self.name.startswith("0x")

    @property
    def is_lost_race(self) -> bool:
        """Somebody was first: by the protocol's own reason the account is safe again, or its position changed."""
        return self.action in (RevertAction.RETRY, RevertAction.SKIP) and not self.is_foreign

    def __str__(self) -> str:
        return f"{self.name}({', '.join(str(arg) for arg in self.args)})"


@dataclass(frozen=True, slots=True)
class PriceReading:
    """One price behind this block's decisions, for guards, logs and people. `problem` is empty when it can be used."""

    label: str
    feed: bytes
    price_wad: int
    updated_at: int
    problem: str = ""  # "stale", "zero", "negative", "unreadable"


@dataclass(frozen=True, slots=True)
class Achieved:
    """What a mined liquidation did, from its own logs. `rewards`: token -> units, signed."""

    rewards: Mapping[bytes, int]
    size: int
    bad_debt_wad: int = 0
    details: Mapping[str, int] = field(default_factory=dict)


class Defaults:
    """The optional methods, for an adapter without discovery, lookups, reads by account and allowances, which may call
    every contract of the deployment file. One that keeps this `permits` runs dry: see `permission.py`."""

    needs_executor: ClassVar[bool] = False

    def discovery(self) -> list[Call]:
        return []

    def discovered(self, results: Sequence[CallResult]) -> Self:  # noqa: ARG002
        return self

    def lookups(self, state: Any) -> list[Call]:  # noqa: ARG002
        return []

    def looked_up(self, state: Any, results: Sequence[CallResult]) -> Any:  # noqa: ARG002
        return state

    def account_reads(self, state: Any, account: bytes) -> list[Call]:  # noqa: ARG002
        return []

    def fold_account(self, state: Any, account: bytes, results: Sequence[CallResult], writer: Writer) -> None:
        """There are no account reads."""

    def allowances(self, state: Any) -> list[tuple[bytes, bytes]]:  # noqa: ARG002
        return []

    def purse(self, state: Any) -> list[bytes]:
        return sorted({token for token, _ in self.allowances(state)})

    def targets(self, deployment: Deployment) -> frozenset[bytes]:
        return frozenset(deployment.contracts.values())

    def permits(self, state: Any, call: Call) -> str:  # noqa: ARG002
        return "the adapter does not say which calls it may make"

    def stakes(self, snapshot: Snapshot, call: Call) -> Stakes | None:  # noqa: ARG002
        return None

    def after(self, snapshot: Snapshot, own: Sequence[OwnLiquidation], timestamp: int) -> Snapshot:  # noqa: ARG002
        return snapshot


class Protocol(Interface):
    """One protocol deployment. Instances are immutable; all state travels in the snapshot."""

    name: ClassVar[str]
    required_contracts: ClassVar[tuple[str, ...]]
    tables: ClassVar[tuple[TableSpec, ...]]
    needs_executor: ClassVar[bool]  # a live run does, as every liquidation is a call to it

    def __init__(self, deployment: Deployment) -> None: ...

    # What to find out before the first log.

    def discovery(self) -> list[Call]:
        """Calls that must be answered before logs can be asked for, such as the addresses behind one registry."""
        ...

    def discovered(self, results: Sequence[CallResult]) -> Self:
        """The adapter with the answers to `discovery`; both are repeated until `discovery` is empty.

        Raises OperatorError when the contracts are not this protocol's.
        """
        ...

    # What to read, and what it means.

    def initial_state(self) -> Any:
        """Protocol-wide state before the first log."""
        ...

    def log_filter(self, state: Any) -> LogFilter:
        """Which logs change the state; may grow as the state does."""
        ...

    def fold(self, state: Any, log: Log, writer: Writer) -> Any:
        """Apply one log: account rows through `writer`, the protocol-wide state by returning a new one.

        Raises InvariantBroken when the logs cannot be decoded.
        """
        ...

    def lookups(self, state: Any) -> list[Call]:
        """Calls for facts that logs name but do not describe, such as the feed of a newly listed token.

        Made at the newest block after its logs are folded, until there are none.
        """
        ...

    def looked_up(self, state: Any, results: Sequence[CallResult]) -> Any:
        """The state with the answers to `lookups`; an unusable answer is kept as such and not asked for again."""
        ...

    def reads(self, state: Any) -> list[Call]:
        """Calls for what no log announces; one bulk read a block."""
        ...

    def decode_reads(self, state: Any, results: Sequence[CallResult]) -> Any:
        """Readings from the answers to `reads`. A failed or implausible answer becomes a problem, never a number."""
        ...

    def account_reads(self, state: Any, account: bytes) -> list[Call]:
        """Calls for values of an account that no log states.

        Made once for each account that blocks since the last read touched (`Writer.touch`), at the newest block. Every
        block in which such a value changes must touch the account.
        """
        ...

    def fold_account(self, state: Any, account: bytes, results: Sequence[CallResult], writer: Writer) -> None:
        """Write the answers to `account_reads` into the account's rows; a reorg undoes them with the block."""
        ...

    def cross_checks(self, state: Any) -> list[tuple[Call, bytes]]:
        """Views of the contract with the answers that the logs imply, compared after each sync.

        They find a wrong address and a start block that is too late.
        """
        ...

    def prices(self, snapshot: Snapshot, timestamp: int) -> list[PriceReading]:
        """The prices in the readings, each with its problem at `timestamp`, if any."""
        ...

    # Health.

    def screen(self, snapshot: Snapshot, timestamp: int) -> Screen:
        """All accounts in float64 with a proven bound."""
        ...

    def health(self, snapshot: Snapshot, row: int, timestamp: int) -> Health:
        """One account in exact integers at `timestamp`.

        Raises Refused("unpriced") when the contract's own view would revert for want of a price, and
        Refused("unsupported", why) for an account that cannot be computed exactly: it is skipped and reported.
        """
        ...

    def audit(self, snapshot: Snapshot, row: int) -> list[Call]:
        """The contract's own views of an account's health, for the parity check."""
        ...

    def audit_matches(self, snapshot: Snapshot, row: int, results: Sequence[CallResult]) -> str:
        """Empty when the views' answers equal local health at the snapshot's timestamp, else the difference. An account
        that `health` refuses as unsupported is not compared."""
        ...

    # Liquidation.

    def opportunities(
        self, snapshot: Snapshot, row: int, timestamp: int, target_wad: int, limits: Mapping[str, int]
    ) -> list[Opportunity]:
        """Legal liquidations, each with the smallest size that restores `target_wad`, clipped to the rules.

        limits: what other plans leave of shared limits (`Opportunity.uses` keys), and of the keeper's tokens that are
        known (`token_key`). A smaller size within them is better than none; `uses` names the whole limit.
        """
        ...

    def after(self, snapshot: Snapshot, own: Sequence[OwnLiquidation], timestamp: int) -> Snapshot:
        """The snapshot with its pools (`moved`) as liquidations of this keeper leave them, in order, at `timestamp`.
        `opportunities` quotes sales in them; health is still that of the block."""
        ...

    def encode(self, snapshot: Snapshot, opportunity: Opportunity, floor_wad: int, *, deadline: int = NEVER) -> Call:
        """The transaction. It must revert on chain when the reward would be below `floor_wad` dollars, and in blocks
        later than `deadline` (unix seconds) where the contracts can. An adapter may leave the keyword out."""
        ...

    def allowances(self, state: Any) -> list[tuple[bytes, bytes]]:
        """(token, spender) pairs that the keeper must have approved for the liquidations it makes."""
        ...

    def purse(self, state: Any) -> list[bytes]:
        """Tokens of which `Deployment.holder`'s balance bounds liquidations: the `limits` that `opportunities` gets."""
        ...

    def targets(self, deployment: Deployment) -> frozenset[bytes]:
        """Contracts that `encode` calls, asked after discovery: the key signs calls to no other ones."""
        ...

    def permits(self, state: Any, call: Call) -> str:
        """Why the key may not sign a call, in words; empty when it may. Asked before each signature, about bytes that
        somebody may have altered after `encode`: decode them strictly (`Function.arguments`), and allow the functions
        that `encode` calls, with known contracts, pools and tokens, amounts in range and no negative profit."""
        ...

    def stakes(self, snapshot: Snapshot, call: Call) -> Stakes | None:
        """What a permitted call is about, for the book's accounts and the operator's limits; None when not known."""
        ...

    def achieved(self, state: Any, opportunity_account: bytes, keeper: bytes, logs: Sequence[Log]) -> Achieved | None:
        """What a mined transaction did, from its logs; None when they show no success."""
        ...

    def explain(self, data: bytes) -> Revert:
        """Decode revert data. A reason that is not the protocol's own may be a token's: it is named by its selector
        (0x...), "Error", "Panic" or "no reason"."""
        ...

    # For people.

    def token_symbols(self, state: Any) -> Mapping[bytes, tuple[str, int]]:
        """token -> (symbol, decimals) for reports, as far as known."""
        ...

    def value_wad(self, snapshot: Snapshot, token: bytes, amount: int) -> int:
        """Dollars (1e18) of a signed amount of a token at this block's prices; 0 when unknown."""
        ...
