"""A transaction to be mined: an intent holds one nonce and has many attempts, of which at most one is mined."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from keeper.model.chain import Call
from keeper.model.fees import Fees

NATIVE = bytes(20)  # the native coin among tokens


class IntentState(StrEnum):
    """States of an intent. Allowed edges are in `keeper/execute/journal/transitions.py`."""

    RESERVED = "reserved"  # has a nonce, nothing signed
    SIGNED = "signed"  # bytes are in the journal, not known to be sent
    PENDING = "pending"  # a node accepted it, or may have
    CANCELLING = "cancelling"  # a self-transfer at the same nonce was sent
    MINED = "mined"  # final: the liquidation succeeded
    REVERTED = "reverted"  # final: mined and failed
    CANCELLED = "cancelled"  # final: the self-transfer was mined
    SUPERSEDED = "superseded"  # final: someone else used the nonce
    DROPPED = "dropped"  # final: never sent, nonce free again

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset(
    {IntentState.MINED, IntentState.REVERTED, IntentState.CANCELLED, IntentState.SUPERSEDED, IntentState.DROPPED}
)


class SendStatus(StrEnum):
    """The outcome of a send, by the replies. One with unknown outcome keeps its nonce."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Route(StrEnum):
    """How signed bytes are sent: to all nodes, or to relays only."""

    PUBLIC = "public"
    PRIVATE = "private"  # eth_sendPrivateTransaction
    BUNDLE = "bundle"  # eth_sendBundle, one for each block


@dataclass(frozen=True, slots=True)
class SendResult:
    """Outcome of sending raw bytes to a node. `reason` is an enumerated word such as `nonce_too_low`."""

    status: SendStatus
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction at the intent's nonce."""

    intent_id: int
    tx_hash: bytes
    raw: bytes
    max_fee: int  # wei
    priority_fee: int  # wei
    cancels: bool  # a self-transfer that uses up the nonce
    signed_block: int
    route: Route = Route.PUBLIC


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a mined intent ended. `profit`: token address (the native coin is 20 zero bytes) -> units, signed. That of
    the native coin is what the transaction cost.

    `value_wad`: what the profit was worth in dollars (1e18) at the prices of the block in which it was booked.
    """

    tx_hash: bytes
    block_number: int
    block_hash: bytes
    status: int
    gas_used: int
    effective_gas_price: int
    profit: dict[bytes, int]
    reason: str = ""
    value_wad: int = 0
    bad_debt_wad: int = 0

    @property
    def cost(self) -> int:
        """Wei paid, for gas and data."""
        return -self.profit.get(NATIVE, 0)

    @property
    def data_fee(self) -> int:
        """Wei paid beside the gas, on a rollup."""
        return self.cost - self.gas_used * self.effective_gas_price


@dataclass(frozen=True, slots=True)
class Intent:
    """A plan that has been accepted for sending, as the journal knows it."""

    id: int
    account: bytes
    kind: str
    subject: str
    size: int
    state: IntentState
    nonce: int
    to: bytes
    data: bytes
    gas_limit: int
    bid: int  # wei
    value_wad: int
    planned_block: int
    deadline_block: int
    attempts: tuple[Attempt, ...] = ()
    outcome: Outcome | None = None
    uses: Mapping[str, int] = field(default_factory=dict)  # shared limits that it uses while it is in flight
    spends: Mapping[bytes, int] = field(default_factory=dict)  # token -> units that it may take from the keeper


APPROVE = "approve"


FILL = "fill"


@dataclass(frozen=True, slots=True)
class TxRequest:
    """What an intent is made from: a transaction without a nonce."""

    account: bytes
    kind: str
    subject: str
    size: int
    call: Call
    gas_limit: int
    fees: Fees
    bid: int  # wei
    value_wad: int
    planned_block: int
    deadline_block: int
    uses: Mapping[str, int] = field(default_factory=dict)
    spends: Mapping[bytes, int] = field(default_factory=dict)
    route: Route = Route.PUBLIC


def intent_from(request: TxRequest, number: int, nonce: int) -> Intent:
    """A new intent: a request with its id and nonce, and nothing signed."""
    return Intent(
        id=number,
        account=request.account,
        kind=request.kind,
        subject=request.subject,
        size=request.size,
        state=IntentState.RESERVED,
        nonce=nonce,
        to=request.call.to,
        data=request.call.data,
        gas_limit=request.gas_limit,
        bid=request.bid,
        value_wad=request.value_wad,
        planned_block=request.planned_block,
        deadline_block=request.deadline_block,
        uses=dict(request.uses),
        spends=dict(request.spends),
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """An intent that ended. `failed`: accounts whose liquidation reverted on chain. `lost`: somebody was first."""

    intent: Intent
    failed: tuple[bytes, ...] = ()
    lost: bool = False
