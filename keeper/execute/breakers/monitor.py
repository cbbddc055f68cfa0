"""The breakers in use: tells when one opens or closes, and keeps the journal's tables in step."""

from collections.abc import Iterable

from keeper.execute.breakers.breakers import BreakerLimits, Breakers, BreakerState, TxResult
from keeper.execute.breakers.missed import Missed
from keeper.execute.breakers.store import BreakerStore
from keeper.model.breaker import BreakerName
from keeper.model.chain import BlockRef
from keeper.model.events import BREAKER_CLOSED, BREAKER_OPEN, KILL_CANCELLING, OPPORTUNITIES_MISSED, Emit, Event
from keeper.model.health import WAD
from keeper.model.intent import Intent, IntentState

MISSED_BLOCKS = 12


class BreakerMonitor:
    """Says whether something new may be sent. `trade` is to be called off the event loop's thread, with what
    `take_changes` gave, and its answer given to `adopt`.
    """

    def __init__(
        self, limits: BreakerLimits, book: BreakerStore, emit: Emit, missed_blocks: int = MISSED_BLOCKS
    ) -> None:
        self._limits = limits
        self.book = book
        self._emit = emit
        self._breakers = Breakers(limits)
        self._missed = Missed(missed_blocks)
        self._block = 0
        self._time_s = 0
        self._changed: list[BreakerState] = []
        self._ends: list[TxResult] = []
        self._remaining = -1

    @property
    def reason(self) -> str:
        return self._breakers.reason

    @property
    def killed(self) -> bool:
        return self._breakers.is_open(BreakerName.KILL)

    @property
    def dirty(self) -> bool:
        return bool(self._changed or self._ends)

    def begin(self, found: tuple[list[BreakerState], list[TxResult]]) -> None:
        """Start with what the journal holds; what is open is told again."""
        holds, ends = found
        self._breakers = Breakers(self._limits, holds, ends)
        self._tell(self._breakers.open())

    def trip(self, name: BreakerName, reason: str) -> None:
        self._change(self._breakers.trip(name, reason, self._block, self._time_s))

    def close(self, name: BreakerName) -> None:
        """Its cause is gone."""
        self._change(self._breakers.close(name, self._time_s))

    def tick(self, block: BlockRef) -> None:
        """A new block, and time with it."""
        self._block, self._time_s = block.number, block.timestamp
        self._change(self._breakers.tick(block.number, block.timestamp))

    def take_changes(self) -> tuple[list[BreakerState], list[TxResult]]:
        """What the tables do not have yet."""
        changes, self._changed, self._ends = (self._changed, self._ends), [], []
        return changes

    def give_back(self, changes: tuple[list[BreakerState], list[TxResult]]) -> None:
        """The tables did not take it: next time."""
        self._changed, self._ends = changes[0] + self._changed, changes[1] + self._ends

    def adopt(self, holds: Iterable[BreakerState]) -> None:
        """What people did to the tables since the last look."""
        ours = {hold.name for hold in self._changed}
        self._tell(self._breakers.adopt(hold for hold in holds if hold.name not in ours))

    def ended(self, intents: Iterable[Intent], native_price_wad: int) -> None:
        """Count how transactions ended in the newest block."""
        for intent in intents:
            if intent.state is IntentState.SUPERSEDED:
                self.trip(BreakerName.NONCE, "a nonce was used by a transaction that this keeper did not send")
            end = _end_of(intent, self._time_s, native_price_wad)
            self._ends.append(end)
            self._change(self._breakers.ended(end, self._block))

    def chances(self, chance: bool, mined: bool) -> None:
        """Whether the last block left something worth sending unmined."""
        if blocks := self._missed.block(chance, mined):
            why = f" (held: {self.reason})" if self.reason else ""
            message = f"for {blocks} blocks there was something worth sending, and nothing of ours was mined{why}"
            fields = {"blocks": blocks, "held": self.reason}
            self._emit(Event(OPPORTUNITIES_MISSED, message, self._block, fields))

    def cancelling(self, remaining: int) -> None:
        """While killed: how much is still on its way, said when it changes."""
        if not self.killed:
            self._remaining = -1
        elif remaining != self._remaining:
            self._remaining = remaining
            message = f"the kill switch is on: {remaining} transactions remain on their way, each is being cancelled"
            self._emit(Event(KILL_CANCELLING, message, self._block, {"remaining": remaining}))

    def _change(self, holds: list[BreakerState]) -> None:
        self._changed += holds
        self._tell(holds)

    def _tell(self, holds: Iterable[BreakerState]) -> None:
        for hold in holds:
            fields = {"breaker": str(hold.name), "reason": hold.reason}
            if hold.reason:
                message = f"sending is held: {hold.reason}"
                self._emit(Event(BREAKER_OPEN, message, self._block or None, fields))
            else:
                others = f", but still held: {self.reason}" if self.reason else ": sending goes on"
                message = f"breaker {hold.name} is closed{others}"
                self._emit(Event(BREAKER_CLOSED, message, self._block or None, {"breaker": str(hold.name)}))


def _end_of(intent: Intent, time_s: int, native_price_wad: int) -> TxResult:
    outcome = intent.outcome
    mined, reverted = intent.state is IntentState.MINED, intent.state is IntentState.REVERTED
    if outcome is None:
        return TxResult(intent.id, time_s, mined, reverted, 0, 0)
    gas_wad = outcome.gas_used * outcome.effective_gas_price * native_price_wad // WAD
    return TxResult(intent.id, time_s, mined, reverted, max(-outcome.value_wad, 0), gas_wad)
