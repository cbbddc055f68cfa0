"""The breakers in use: emits an event when one opens or closes, and keeps the journal's tables in step."""

from collections.abc import Iterable

from keeper.execute.breakers.breakers import BreakerLimits, Breakers, BreakerState, TxResult
from keeper.execute.breakers.missed import Missed
from keeper.execute.breakers.store import BreakerStore
from keeper.model.breaker import BreakerName
from keeper.model.chain import BlockRef
from keeper.model.events import BREAKER_CLOSED, BREAKER_OPEN, KILL_CANCELLING, OPPORTUNITIES_MISSED, Emit, Event
from keeper.model.health import WAD
from keeper.model.intent import Ended, IntentState

MISSED_BLOCKS = 12


class BreakerMonitor:
    """Says whether something new may be sent.

    `store.exchange` is to be called off the event loop's thread, with what `take_changes` gave, and its answer given to
    `adopt`. `block`: the newest one; its number and timestamp are the time.
    """

    def __init__(
        self, limits: BreakerLimits, store: BreakerStore, emit: Emit, missed_blocks: int = MISSED_BLOCKS
    ) -> None:
        self._limits = limits
        self.store = store
        self._emit = emit
        self._breakers = Breakers(limits)
        self._missed = Missed(missed_blocks)
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

    def begin(self, found: tuple[list[BreakerState], list[TxResult]], block: BlockRef) -> None:
        """Start with the journal's breakers; emits an event for each open one."""
        states, ends = found
        self._breakers = Breakers(self._limits, states, ends)
        self._report(self._breakers.open(), block)

    def trip(self, name: BreakerName, reason: str, block: BlockRef) -> None:
        self._change(self._breakers.trip(name, reason, block.number, block.timestamp), block)

    def close(self, name: BreakerName, block: BlockRef) -> None:
        """Its cause is gone."""
        self._change(self._breakers.close(name, block.timestamp), block)

    def tick(self, block: BlockRef) -> None:
        """A new block: close what time closes."""
        self._change(self._breakers.tick(block.number, block.timestamp), block)

    def take_changes(self) -> tuple[list[BreakerState], list[TxResult]]:
        """Changes that are not in the tables yet."""
        changes, self._changed, self._ends = (self._changed, self._ends), [], []
        return changes

    def give_back(self, changes: tuple[list[BreakerState], list[TxResult]]) -> None:
        """Keep changes that could not be written for the next time."""
        self._changed, self._ends = changes[0] + self._changed, changes[1] + self._ends

    def adopt(self, states: Iterable[BreakerState], block: BlockRef) -> None:
        """Take over what operators changed in the tables."""
        ours = {state.name for state in self._changed}
        self._report(self._breakers.adopt(state for state in states if state.name not in ours), block)

    def ended(self, found: Iterable[Ended], native_price_wad: int, block: BlockRef) -> None:
        """Count how transactions ended in the newest block. Of a lost race only the gas and the loss count."""
        for one in found:
            if one.intent.state is IntentState.SUPERSEDED:
                self.trip(
                    BreakerName.NONCE,
                    f"nonce {one.intent.nonce} was used by a transaction that this keeper did not send",
                    block,
                )
            end = _end_of(one, block.timestamp, native_price_wad)
            self._ends.append(end)
            self._change(self._breakers.ended(end, block.number), block)

    def chances(self, chance: bool, mined: bool, block: BlockRef) -> None:
        """Whether the last block left something worth sending unmined."""
        if blocks := self._missed.block(chance, mined):
            why = f" (sending is stopped: {self.reason})" if self.reason else ""
            message = f"{blocks} blocks had liquidations worth sending, none of this keeper's was mined{why}"
            fields = {"blocks": blocks, "held": self.reason}
            self._emit(Event(OPPORTUNITIES_MISSED, message, block.number, fields))

    def cancelling(self, remaining: int, block: BlockRef) -> None:
        """While the kill switch is on: emit how many transactions are pending, when that changes."""
        if not self.killed:
            self._remaining = -1
        elif remaining != self._remaining:
            self._remaining = remaining
            message = f"kill switch is on: cancelling {remaining} transactions in flight"
            self._emit(Event(KILL_CANCELLING, message, block.number, {"remaining": remaining}))

    def _change(self, states: list[BreakerState], block: BlockRef) -> None:
        self._changed += states
        self._report(states, block)

    def _report(self, states: Iterable[BreakerState], block: BlockRef) -> None:
        for state in states:
            if state.reason:
                fields = {"breaker": str(state.name), "reason": state.reason}
                self._emit(
                    Event(
                        BREAKER_OPEN,
                        f"breaker {state.name} opened, sending stops: {state.reason}",
                        block.number,
                        fields,
                    )
                )
            else:
                others = f"but sending is still stopped: {self.reason}" if self.reason else "sending resumes"
                message = f"breaker {state.name} closed, {others}"
                self._emit(Event(BREAKER_CLOSED, message, block.number, {"breaker": str(state.name)}))


def _end_of(ended: Ended, time_s: int, native_price_wad: int) -> TxResult:
    intent, outcome = ended.intent, ended.intent.outcome
    mined, reverted = intent.state is IntentState.MINED, intent.state is IntentState.REVERTED and not ended.lost
    if outcome is None:
        return TxResult(intent.id, time_s, mined, reverted, 0, 0)
    gas_wad = outcome.cost * native_price_wad // WAD
    return TxResult(intent.id, time_s, mined, reverted, max(-outcome.value_wad, 0), gas_wad)
