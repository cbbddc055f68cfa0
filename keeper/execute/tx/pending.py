"""What is on its way, in memory: a mirror of the journal's open intents, and accounts that cool down."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from keeper.execute.journal.transitions import CONSUMED
from keeper.model.data_fees import NO_DATA_FEES, DataFees
from keeper.model.fees import Fees
from keeper.model.intent import Attempt, Intent
from keeper.model.plan import InFlight, OwnLiquidation
from keeper.protocols.executor.batching import members


@dataclass(slots=True)
class SendState:
    """What is known of one intent while it is on its way, and is not worth writing down: a restart finds it out again.

    `unconfirmed`: no node confirmed its newest bytes. `relays_refused`: relays did not take them. `too_high`: how often
    in a row its nonce was refused as too high. `looks`: how often its nonce was found used, by none of its hashes.
    `cancelled_for`: why it is being cancelled. `stuck_reported`: the event tx.stuck was emitted. `altered`: its rows in
    the journal were altered, so nothing is signed or sent for it; its nonce stays taken.
    """

    unconfirmed: bool = False
    relays_refused: bool = False
    too_high: int = 0
    looks: int = 0
    cancelled_for: str = ""
    stuck_reported: bool = False
    altered: bool = False


@dataclass(slots=True)
class _Kept:
    intent: Intent
    state: SendState = field(default_factory=SendState)


class PendingIntents:
    """Open and recently settled intents, and the accounts that are skipped for a while.

    `data_fees`: what the chain charges for their calldata, as of the newest block.
    """

    def __init__(self) -> None:
        self.data_fees: DataFees = NO_DATA_FEES
        self._kept: dict[int, _Kept] = {}
        self._cooling: dict[bytes, int] = {}
        self._consumed = -1
        self.any_altered = False  # since the start: nonces that look free may belong to rows that were altered

    @classmethod
    def of(cls, intents: Iterable[Intent]) -> Self:
        """The mirror of a journal's intents, open or settled: `PendingIntents.of(open_intents).in_flight()`."""
        pending = cls()
        pending.keep_all(intents)
        return pending

    def keep(self, intent: Intent) -> None:
        """Remember the newest version of an intent; once it has ended, its send state begins from nothing."""
        kept = self._kept.get(intent.id)
        if kept is None or intent.state.final:
            self._kept[intent.id] = _Kept(intent)
        else:
            kept.intent = intent

    def keep_all(self, intents: Iterable[Intent]) -> None:
        for intent in intents:
            self.keep(intent)

    def set_aside(self, intent_id: int) -> None:
        """Sign and send nothing more for an intent whose rows were altered; 0: for one that is not known."""
        self.any_altered = True
        if kept := self._kept.get(intent_id):
            kept.state.altered = True

    def state(self, intent: Intent) -> SendState:
        """What is known of an intent on its way, to be read and changed."""
        return self._kept[intent.id].state

    def open(self) -> list[Intent]:
        """Intents without an outcome, lowest nonce first."""
        return sorted((i for i in self._all() if not i.state.final), key=lambda intent: intent.nonce)

    def followed(self) -> list[Intent]:
        """Open intents that something may be signed or sent for, lowest nonce first."""
        return [intent for intent in self.open() if not self.state(intent).altered]

    @property
    def count(self) -> int:
        """How many intents are open. Callable from any thread: it looks at a copy."""
        return sum(not intent.state.final for intent in self._all())

    def settled(self) -> list[Intent]:
        """Intents whose outcome a reorg may still take back."""
        ended = [intent for intent in self._all() if intent.state.final and intent.outcome]
        return [intent for intent in ended if not self.state(intent).altered]

    def newest(self, intent: Intent) -> Intent:
        """The newest version of an intent; the given one where it is forgotten: then no reorg takes its outcome."""
        kept = self._kept.get(intent.id)
        return kept.intent if kept else intent

    def nonces(self) -> set[int]:
        return {intent.nonce for intent in self.open()}

    @property
    def consumed(self) -> int:
        """The highest nonce that is used, -1 for none: by what ended, in memory, not by what the journal says now."""
        return max([self._consumed, *(i.nonce for i in self._all() if i.state in CONSUMED)])

    def consume(self, nonce: int) -> None:
        """A nonce is used for good."""
        self._consumed = max(self._consumed, nonce)

    def last_block_for(self, account: bytes) -> int:
        """The newest block in which something of ours was mined for an account: plans from before it are void."""
        blocks = [i.outcome.block_number for i in self._all() if i.outcome and account in members(i)]
        return max(blocks, default=-1)

    def cool(self, account: bytes, until: int) -> None:
        """Leave an account alone before block `until`."""
        self._cooling[account] = max(until, self._cooling.get(account, 0))

    def cool_all(self, accounts: Iterable[bytes], until: int) -> None:
        for account in accounts:
            self.cool(account, until)

    def cools(self, account: bytes, block: int) -> bool:
        return self._cooling.get(account, 0) > block

    def forget(self, block: int, settled_before: int) -> None:
        """Drop what is of no use any more at a block."""
        self._cooling = {account: until for account, until in self._cooling.items() if until > block}
        for intent in self._all():
            old = intent.outcome is None or intent.outcome.block_number < settled_before
            if intent.state.final and old:
                if intent.state in CONSUMED:
                    self.consume(intent.nonce)
                del self._kept[intent.id]

    def _all(self) -> list[Intent]:
        return [kept.intent for kept in tuple(self._kept.values())]

    def in_flight(self) -> InFlight:
        uses: Counter[str] = Counter()
        spends: Counter[bytes] = Counter()
        gas: Counter[int] = Counter()
        native = 0
        intents = self.open()
        for intent in intents:
            uses.update(intent.uses)
            spends.update(intent.spends)
            gas[_wanted_fee(intent)] += intent.gas_limit
            native += intent.gas_limit * max((attempt.max_fee for attempt in intent.attempts), default=intent.bid)
            native += self.data_fees.most(len(intent.data), intent.gas_limit)
        return InFlight(
            accounts=frozenset(account for intent in intents for account in members(intent)),
            cooling=dict(self._cooling),
            uses=dict(uses),
            spends=dict(spends),
            native=native,
            gas=dict(gas),
            count=len(intents),
            ahead=tuple(OwnLiquidation(tuple(members(intent)), intent.uses) for intent in intents if intent.uses),
        )


def _wanted_fee(intent: Intent) -> int:
    """The highest maxFeePerGas at which the liquidation itself may be mined; what cancels it costs little gas."""
    return max((attempt.max_fee for attempt in intent.attempts if not attempt.cancels), default=intent.bid)


def highest(attempts: Iterable[Attempt]) -> Fees:
    """The highest fees known at a nonce, each field by itself."""
    known = list(attempts)
    return Fees(max(a.max_fee for a in known), max(a.priority_fee for a in known))
