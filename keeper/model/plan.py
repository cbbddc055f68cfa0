"""From a legal liquidation to a plan that the executor may send."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from keeper.model.chain import Call
from keeper.model.health import Health


@dataclass(frozen=True, slots=True)
class Opportunity:
    """One legal liquidation of one account, sized, with what it pays and what it needs. Made by an adapter.

    Dollars are in 1e18. `gas` is the expected use, `gas_limit` a bound. `uses`: shared limits that it draws on, such
    as a market's cap a block, as key -> (amount, limit). `spends`: token units that the keeper must hold.
    """

    account: bytes
    kind: str  # the adapter's word: "liquidate", "seize"
    subject: str  # which market or collateral, for people
    size: int  # in the protocol's unit of size
    notional_wad: int
    reward_wad: int  # what the keeper gains at executable prices, before gas
    rewards: Mapping[bytes, int]  # token -> units in (positive) or out (negative)
    spends: Mapping[bytes, int]
    uses: Mapping[str, tuple[int, int]]
    gas: int
    gas_limit: int
    before: Health
    after: Health
    bad_debt_prevented_wad: int = 0
    partial: bool = True
    slip_percent: int = 5  # of the reward that may be gone when the call executes, as prices move
    pools: tuple[bytes, ...] = ()  # whose price or liquidity it changes, so that what follows there is quoted after it
    details: Mapping[str, int] = field(default_factory=dict)  # what the adapter needs to encode the call


@dataclass(frozen=True, slots=True)
class OwnLiquidation:
    """A liquidation of this keeper that is planned or in flight: its accounts, and how much it draws on each shared
    limit, as `Opportunity.uses` names them."""

    accounts: tuple[bytes, ...]
    uses: Mapping[str, int]


_PREFIX = "token:0x"


def token_key(token: bytes) -> str:
    """The name under which what is left of a token stands among the limits that an adapter is given."""
    return _PREFIX + token.hex()


def token_of(key: str) -> bytes:
    """The token of a `token_key`."""
    return bytes.fromhex(key.removeprefix(_PREFIX))


# What a pool pays moves with whoever sells there before, our own liquidations of the same block included.
SHARED_POOL_SLIP_PERCENT = 50


class Rejection(StrEnum):
    """Why an unsafe account is not in the plan. Words are stable: they stand in `plan.rejected`."""

    NO_LEGAL_SIZE = "no_legal_size"
    UNPRICED = "unpriced"
    UNPROFITABLE = "unprofitable"
    FEE_CAP = "fee_cap"
    IN_FLIGHT = "in_flight"
    COOLING_DOWN = "cooling_down"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    SHARED_LIMIT = "shared_limit"
    BLOCK_GAS = "block_gas"
    TOO_MANY_IN_FLIGHT = "too_many_in_flight"
    SIMULATION_FAILED = "simulation_failed"
    LIMIT = "limit"  # of the operator, see TradeLimits
    HOLD = "hold"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Shortage:
    """What a liquidation needs and the keeper lacks, in units of `token`. No token is the native coin, for gas."""

    token: bytes
    balance: int  # what is left after everything in flight
    needed: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """An unsafe account without a plan, and why. `shortage`: of INSUFFICIENT_FUNDS."""

    account: bytes
    reason: Rejection
    message: str
    health_wad: int = 0
    shortage: Shortage | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the executor may send: one call, its bid, and how long it is worth sending."""

    opportunity: Opportunity
    call: Call
    max_fee: int  # wei: first maxFeePerGas
    priority_fee: int  # wei
    bid: int  # wei: the maxFeePerGas above which it no longer pays, or the configured cap
    value_wad: int  # expected net of gas
    score: float  # rank: higher first
    planned_block: int
    deadline_block: int
    covering: Fraction = Fraction(1)  # share of the call's least profit that pays for gas at the bid; the rest is slip
    data_fee: int = 0  # wei: the most that its data may cost beside its gas

    @property
    def account(self) -> bytes:
        return self.opportunity.account


@dataclass(frozen=True, slots=True)
class Schedule:
    """The planner's answer for one block: plans, best first, and every account without one."""

    plans: tuple[Plan, ...] = ()
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Funds:
    """What the keeper can spend now, plans in flight already taken off. Token amounts in the token's own units.

    `floors`: the least profit in a token that the executor's treasury allows, where it set one.
    """

    native: int  # wei
    native_price_wad: int  # dollars per coin, 1e18
    tokens: Mapping[bytes, int] = field(default_factory=dict)
    floors: Mapping[bytes, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InFlight:
    """What the keeper has in flight: these accounts get no new plan, and shared limits and funds are used."""

    accounts: frozenset[bytes] = frozenset()
    cooling: Mapping[bytes, int] = field(default_factory=dict)  # account -> first block in which it may be tried again
    uses: Mapping[str, int] = field(default_factory=dict)  # key of a shared limit -> amount
    spends: Mapping[bytes, int] = field(default_factory=dict)  # token -> units
    native: int = 0  # wei that their gas and data may cost
    gas: Mapping[int, int] = field(
        default_factory=dict
    )  # maxFeePerGas in wei -> gas limits of transactions that offer it
    count: int = 0
    ahead: tuple[OwnLiquidation, ...] = ()  # what executes before anything new, lowest nonce first
    quarantined: Mapping[str, str] = field(default_factory=dict)  # "kind subject" -> why it is skipped for a while

    def gas_at(self, base_fee: int) -> int:
        """Gas that transactions in flight may take of a block with this base fee (wei).

        One that offers less cannot be in that block, so a transaction at its fee cap does not block new ones for ever.
        """
        return sum(gas for max_fee, gas in self.gas.items() if max_fee >= base_fee)


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's choices for planning and sending. Dollars in 1e18, fees in wei."""

    target_wad: int
    min_profit_wad: int
    bad_debt_weight: float
    max_fee: int
    priority_fee: int
    deadline_blocks: int
    max_in_flight: int
    gas_share: float
    base_fee_denominator: int = 8
    base_fee_elasticity: int = 2
    cooldown_blocks: int = 3
    max_batch: int = 1  # liquidations in one transaction
    max_slip: Fraction = Fraction(1)  # share of the quoted reward that may be gone when a call executes; 1: all of it
