"""The breakers that stop sending, each with its own reason and its own way to close. Pure.

`reverts`, `journal` and `rebuilt` close by themselves after so many blocks (`journal` also when it is opened again),
`gas` when the hour behind it costs less than the limit again; `loss`, `nonce`, `parity` and `invariant` wait for
`keeper resume`, and so does `kill`. Time is the chain's: the timestamps of blocks, in seconds. What is on its way is
followed to its end whatever is open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from keeper.model.breaker import BreakerName
from keeper.model.health import WAD

HOUR_S = 3_600
DAY_S = 86_400


TIMED = frozenset({BreakerName.REVERTS, BreakerName.JOURNAL, BreakerName.REBUILT})


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """The operator's limits. Dollars in 1e18; None is no limit."""

    max_reverts: int
    reset_blocks: int
    max_loss_wad: int | None = None  # in 24 hours; gains do not make up for losses
    max_gas_wad: int | None = None  # in an hour


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A breaker as it stands. `reason` is empty when it is closed; then only what ended after `since_s` counts."""

    name: str
    reason: str
    since_s: int
    until_block: int | None = None


@dataclass(frozen=True, slots=True)
class TxResult:
    """What breakers count of an ended transaction; a lost race is not `reverted`. Dollars in 1e18."""

    intent_id: int
    time_s: int
    mined: bool
    reverted: bool
    loss_wad: int
    gas_wad: int


class Breakers:
    """All breakers of one signer. Methods return the breakers that they opened or closed."""

    def __init__(
        self, limits: BreakerLimits, states: Iterable[BreakerState] = (), ends: Iterable[TxResult] = ()
    ) -> None:
        self._limits = limits
        self._states = {state.name: state for state in states}
        self._ends = {end.intent_id: end for end in ends}

    def open(self) -> list[BreakerState]:
        """The open ones, most important first."""
        return [state for name in BreakerName if (state := self._states.get(name)) and state.reason]

    @property
    def reason(self) -> str:
        """Why nothing new is sent; empty while it is."""
        return "; ".join(state.reason for state in self.open())

    def is_open(self, name: BreakerName) -> bool:
        return bool((state := self._states.get(name)) and state.reason)

    def trip(self, name: BreakerName, reason: str, block: int, time_s: int) -> list[BreakerState]:
        """Open a breaker unless it is open."""
        if self.is_open(name):
            return []
        until = block + self._limits.reset_blocks if name in TIMED else None
        return [self._set(BreakerState(name, reason, time_s, until))]

    def close(self, name: BreakerName, time_s: int) -> list[BreakerState]:
        """Close a breaker whose cause is gone, unless it is closed."""
        return [self._set(BreakerState(name, "", time_s))] if self.is_open(name) else []

    def ended(self, end: TxResult, block: int) -> list[BreakerState]:
        """Count an ended transaction. One that ends again after a reorg counts once."""
        self._ends[end.intent_id] = end
        opened = []
        for name, reason in self._exceeded(end.time_s):
            opened += self.trip(name, reason, block, end.time_s)
        return opened

    def tick(self, block: int, time_s: int) -> list[BreakerState]:
        """Close the breakers whose time has passed."""
        self._ends = {end.intent_id: end for end in self._ends.values() if end.time_s > time_s - DAY_S}
        return [
            self._set(BreakerState(state.name, "", time_s))
            for state in self.open()
            if self._is_over(state, block, time_s)
        ]

    def adopt(self, states: Iterable[BreakerState]) -> list[BreakerState]:
        """Take over what the journal says: opened or closed by hand, or by the keeper that ran before."""
        return [
            self._set(state)
            for state in states
            if state.name in set(BreakerName) and state.reason != self._reason_of(state.name)
        ]

    def _set(self, state: BreakerState) -> BreakerState:
        self._states[state.name] = state
        return state

    def _reason_of(self, name: str) -> str:
        return state.reason if (state := self._states.get(name)) else ""

    def _is_over(self, state: BreakerState, block: int, time_s: int) -> bool:
        if state.name == BreakerName.GAS and self._limits.max_gas_wad is not None:
            return self._gas_wad(time_s) <= self._limits.max_gas_wad
        return state.until_block is not None and block >= state.until_block

    def _exceeded(self, time_s: int) -> Iterator[tuple[BreakerName, str]]:
        limits = self._limits
        row = self._reverts_in_a_row()
        if row >= limits.max_reverts:
            yield BreakerName.REVERTS, f"{row} reverts in a row"
        loss, gas = self._loss_wad(time_s), self._gas_wad(time_s)
        if limits.max_loss_wad is not None and loss > limits.max_loss_wad:
            yield BreakerName.LOSS, f"{loss / WAD:.2f} USD lost in 24 hours, KEEPER_MAX_LOSS_USD_DAY reached"
        if limits.max_gas_wad is not None and gas > limits.max_gas_wad:
            yield BreakerName.GAS, f"{gas / WAD:.2f} USD of gas in an hour, KEEPER_MAX_GAS_USD_HOUR reached"

    def _counted(self, name: BreakerName) -> list[TxResult]:
        """What ended since the breaker was last closed, oldest first."""
        closed = self._states.get(name)
        since = closed.since_s if closed and not closed.reason else -1
        return sorted(
            (end for end in self._ends.values() if end.time_s > since), key=lambda end: (end.time_s, end.intent_id)
        )

    def _reverts_in_a_row(self) -> int:
        """A success in the same block ends the row: this keeper's transactions compete there, and some lose."""
        row = 0
        for _, block in groupby(self._counted(BreakerName.REVERTS), key=attrgetter("time_s")):
            ends = list(block)
            row = 0 if any(end.mined for end in ends) else row + sum(end.reverted for end in ends)
        return row

    def _loss_wad(self, time_s: int) -> int:
        return sum(end.loss_wad for end in self._counted(BreakerName.LOSS) if end.time_s > time_s - DAY_S)

    def _gas_wad(self, time_s: int) -> int:
        """Gas paid in the last hour."""
        return sum(end.gas_wad for end in self._counted(BreakerName.GAS) if end.time_s > time_s - HOUR_S)
