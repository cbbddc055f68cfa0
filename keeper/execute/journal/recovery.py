"""What an earlier run left in the journal: taken up only where the rows are what the keeper's key signed."""

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, func, or_, select

from keeper.errors import JournalAltered
from keeper.execute.journal.comparison import check_signed
from keeper.execute.journal.rows import load_readable
from keeper.execute.journal.schema import ATTEMPTS, INTENTS, OUTCOMES
from keeper.execute.journal.transitions import CONSUMED, REOPENS
from keeper.model.intent import Intent, IntentState, SendStatus

_OPEN = INTENTS.c.state.not_in([str(state) for state in IntentState if state.final])
# An unsigned reservation whose commit seemed to fail, and a nonce that others used, may stand beside another intent.
_NONCE_FREE = (IntentState.RESERVED, IntentState.DROPPED, IntentState.SUPERSEDED)
_WITH_OUTCOME = INTENTS.c.id.in_(select(OUTCOMES.c.intent_id))


@dataclass(slots=True)
class TakenUp:
    """What is continued. `consumed`: the highest nonce of outcomes that no reorg can undo, -1 for none.

    `altered`: rows that nothing may be signed or sent from; their intents are not among the others.
    """

    open: list[Intent] = field(default_factory=list)
    settled: list[Intent] = field(default_factory=list)
    consumed: int = -1
    altered: list[JournalAltered] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Reads what one signer left on one chain. `owner`: the condition for its intents.

    `since`: the block from which on a reorg may undo outcomes. `chain_nonce`: the chain's next nonce.
    """

    owner: ColumnElement[bool]
    keeper: bytes
    chain_id: int
    since: int
    chain_nonce: int

    def take_up(self, connection: Connection) -> TakenUp:
        """Open and recently settled intents, and the nonces that were used."""
        taken = TakenUp()
        recent = INTENTS.c.id.in_(select(OUTCOMES.c.intent_id).where(OUTCOMES.c.block_number >= self.since))
        taken.open = self._sound(connection, _OPEN, taken)
        taken.settled = self._sound(connection, recent & ~_OPEN, taken)
        superseded = INTENTS.c.state == str(IntentState.SUPERSEDED)
        consumed = INTENTS.c.state.in_([str(state) for state in CONSUMED]) & ~recent & (superseded | _WITH_OUTCOME)
        beyond = self._sound(connection, consumed & (INTENTS.c.nonce >= self.chain_nonce), taken)
        below = select(func.max(INTENTS.c.nonce)).where(self.owner, consumed, INTENTS.c.nonce < self.chain_nonce)
        highest = connection.scalar(below)
        taken.consumed = max([-1 if highest is None else int(highest), *(intent.nonce for intent in beyond)])
        self._find_impossible(connection, taken)
        return taken

    def _sound(self, connection: Connection, condition: ColumnElement[bool], taken: TakenUp) -> list[Intent]:
        """The intents that are as they were signed; notes the others."""
        intents, unreadable = load_readable(connection, self.owner & condition)
        taken.altered += unreadable
        sound = []
        for intent in intents:
            try:
                check_signed(intent, self.keeper, self.chain_id)
            except JournalAltered as error:
                taken.altered.append(error)
            else:
                sound.append(intent)
        return sound

    def _find_impossible(self, connection: Connection, taken: TakenUp) -> None:
        """Note intents that ended as none can: without an outcome, dropped after they were sent, or beside another."""
        state, nonce = INTENTS.c.state, INTENTS.c.nonce
        ended = state.in_([str(state) for state in REOPENS]) & ~_WITH_OUTCOME
        left = ATTEMPTS.c.reply.in_([str(SendStatus.ACCEPTED), str(SendStatus.UNKNOWN)])
        sent = INTENTS.c.id.in_(select(ATTEMPTS.c.intent_id).where(left))
        dropped = (state == str(IntentState.DROPPED)) & (nonce >= self.chain_nonce) & sent
        for row in connection.execute(select(INTENTS.c.id, state).where(self.owner, or_(ended, dropped))):
            what = "without an outcome" if row.state != IntentState.DROPPED else "though it was sent"
            problem = f"the journal was altered: intent {row.id}: column state is {row.state} {what}"
            taken.altered.append(JournalAltered(problem, row.id))
        kept = state.not_in([str(free) for free in _NONCE_FREE])
        nonces = [intent.nonce for intent in taken.open if intent.attempts]
        twice = select(nonce).where(self.owner, kept, nonce.in_(nonces)).group_by(nonce).having(func.count() > 1)
        doubled = set(connection.scalars(twice))
        for intent in taken.open:
            if intent.attempts and intent.nonce in doubled:
                problem = f"the journal was altered: intent {intent.id}: another intent has its nonce {intent.nonce}"
                taken.altered.append(JournalAltered(problem, intent.id))
        taken.open = [intent for intent in taken.open if not intent.attempts or intent.nonce not in doubled]
