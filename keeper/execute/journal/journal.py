"""The journal: what was signed, sent and achieved. Signed bytes are committed here before they are sent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from keeper.errors import JournalUnavailable, NoJournal, OperatorError
from keeper.execute.journal import transitions
from keeper.execute.journal.database import (
    check_version,
    database_message,
    engine_for,
    file_of,
    locate,
    lock_of,
    prepare,
    set_aside,
    unusable,
    version_of,
)
from keeper.execute.journal.recovery import Recovery, TakenUp
from keeper.execute.journal.rows import load
from keeper.execute.journal.schema import ATTEMPTS, INTENTS, OUTCOMES, attempt_row, outcome_row, packed
from keeper.execute.journal.written import WrittenIntents
from keeper.execute.leadership.file_lock import FileLocks, WriterLock
from keeper.execute.leadership.lease import DEFAULT_S, Lease, allow_pauses
from keeper.execute.leadership.right import WriteRight
from keeper.model.intent import Attempt, Intent, IntentState, Outcome, Route, SendResult, TxRequest, intent_from

__all__ = ["Journal", "JournalReader", "locate", "open_history", "open_journal", "read_intents", "read_open_intents"]

# Writes to the tables, given intents by id as they are; returns those that it changed.
Change = Callable[[Connection, dict[int, Intent]], list[Intent]]

_FINAL = [state for state in IntentState if state.final]


class JournalReader:
    """A journal opened for reading, while a keeper may be writing it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.failure = ""  # the database's last error

    def intents(self) -> list[Intent]:
        """Every intent, oldest first. Raises JournalUnavailable when the database does not answer."""
        with self._reading() as connection:
            return load(connection)

    def open_on(self, chain_id: int, signer: bytes | None = None) -> list[Intent]:
        """Intents without an outcome on one chain, of one signer or of all, oldest first."""
        owner = INTENTS.c.chain_id == chain_id
        if signer is not None:
            owner &= INTENTS.c.signer == signer
        with self._reading() as connection:
            return load(connection, owner & INTENTS.c.state.not_in(_FINAL))

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._failed(f"the journal cannot be read: {database_message(error)}") from None

    def _failed(self, failure: str) -> JournalUnavailable:
        self.failure = failure
        return JournalUnavailable(failure)


class Journal(JournalReader):
    """A journal opened for writing, for one signer on one chain. Its methods block: call them off the event loop."""

    def __init__(
        self, engine: Engine, right: WriteRight, signer: bytes, chain_id: int, damaged: Path | None = None
    ) -> None:
        super().__init__(engine)
        self.damaged = damaged  # where its damaged predecessor was moved, if there was one
        self.right = right
        self._signer, self._chain_id = signer, chain_id
        self._owner = (INTENTS.c.signer == signer) & (INTENTS.c.chain_id == chain_id)
        self._written = WrittenIntents()

    def close(self) -> None:
        self.right.close()
        super().close()

    def open_intents(self) -> list[Intent]:
        """Intents without an outcome, oldest first."""
        return self.open_on(self._chain_id, self._signer)

    def take_up(self, since: int, chain_nonce: int) -> TakenUp:
        """What an earlier run left, as far as its key signed it. `since`: the block from which on a reorg may undo.

        `chain_nonce`: the chain's next nonce of the signer.
        """
        with self._reading() as connection:
            allow_pauses(connection)
            taken = Recovery(self._owner, self._signer, self._chain_id, since, chain_nonce).take_up(connection)
        self._written.keep(taken.open)
        return taken

    def consumed_nonce(self) -> int:
        """The highest nonce that an outcome used, -1 for none."""
        with self._reading() as connection:
            states = INTENTS.c.state.in_(transitions.CONSUMED)
            highest = connection.scalar(select(func.max(INTENTS.c.nonce)).where(self._owner & states))
            return -1 if highest is None else int(highest)

    def reserve(self, requests: Sequence[tuple[TxRequest, int]]) -> list[Intent]:
        """New intents, each with its nonce, in one transaction."""
        return self._write([], lambda connection, _: [self._insert(connection, *pair) for pair in requests])

    def commit(self, attempts: Sequence[Attempt]) -> list[Intent]:
        """Signed bytes, in one transaction: when it returns they are on disk and may be sent."""

        def change(connection: Connection, known: dict[int, Intent]) -> list[Intent]:
            for attempt in attempts:
                intent = known[attempt.intent_id]
                state = transitions.after_signing(intent.state, attempt.cancels)
                _set_state(connection, intent.id, state)
                connection.execute(insert(ATTEMPTS).values(**attempt_row(attempt), reply="", reply_reason=""))
                known[intent.id] = replace(intent, state=state, attempts=(*intent.attempts, attempt))
            return [known[attempt.intent_id] for attempt in attempts]

        return self._write([attempt.intent_id for attempt in attempts], change)

    def note(self, answers: Sequence[tuple[Attempt, SendResult, IntentState | None]]) -> list[Intent]:
        """Record the replies to attempts, and the new states where they change; in one transaction."""

        def change(connection: Connection, known: dict[int, Intent]) -> list[Intent]:
            for attempt, result, state in answers:
                reply = {"reply": str(result.status), "reply_reason": result.reason}
                connection.execute(update(ATTEMPTS).where(*_same(attempt)).values(**reply))
                known[attempt.intent_id] = _moved(connection, known[attempt.intent_id], state)
            return [known[attempt.intent_id] for attempt, _, _ in answers]

        return self._write([attempt.intent_id for attempt, _, _ in answers], change)

    def publish(self, intent_id: int) -> Intent:
        """Record that its bytes may be sent to public nodes from now on."""

        def change(connection: Connection, known: dict[int, Intent]) -> list[Intent]:
            public = update(ATTEMPTS).where(ATTEMPTS.c.intent_id == intent_id).values(route=str(Route.PUBLIC))
            connection.execute(public)
            attempts = (replace(attempt, route=Route.PUBLIC) for attempt in known[intent_id].attempts)
            return [replace(known[intent_id], attempts=tuple(attempts))]

        return self._write([intent_id], change)[0]

    def move(self, intent_id: int, state: IntentState) -> Intent:
        """Change the state along one edge of the state machine. Raises InvariantBroken where there is none."""
        return self._write([intent_id], lambda connection, known: [_moved(connection, known[intent_id], state)])[0]

    def settle(self, ends: Sequence[tuple[int, IntentState, Outcome]]) -> list[Intent]:
        """Record how intents, given by id, ended and what they earned; in one transaction."""

        def change(connection: Connection, known: dict[int, Intent]) -> list[Intent]:
            settled = list[Intent]()
            for intent_id, state, outcome in ends:
                connection.execute(insert(OUTCOMES).values(**outcome_row(intent_id, outcome)))
                settled.append(replace(_moved(connection, known[intent_id], state), outcome=outcome))
            return settled

        return self._write([intent_id for intent_id, _, _ in ends], change)

    def reopen(self, intent: Intent) -> Intent:
        """Take an outcome back: its block is no longer part of the chain."""

        def change(connection: Connection, _: dict[int, Intent]) -> list[Intent]:
            state = transitions.reopened(intent.state, intent.attempts)
            connection.execute(delete(OUTCOMES).where(OUTCOMES.c.intent_id == intent.id))
            _set_state(connection, intent.id, state)
            return [replace(intent, state=state, outcome=None)]

        self._written.expect(intent)
        return self._write([intent.id], change)[0]

    def _write(self, numbers: Sequence[int], change: Change) -> list[Intent]:
        """Change intents in one transaction, and read them back within it. Returns what was written.

        Raises JournalAltered where a row differs from what was written, before or now: then nothing is changed.
        """
        changed = list[Intent]()
        try:
            with self._writing() as connection:
                changed = change(connection, self._written.before(connection, numbers))
                self._written.check(connection, changed)
        except JournalUnavailable:
            self._written.doubt(changed)
            raise
        self._written.keep(changed)
        return changed

    def _insert(self, connection: Connection, request: TxRequest, nonce: int) -> Intent:
        values: dict[str, Any] = {
            "signer": self._signer,
            "chain_id": self._chain_id,
            "state": str(IntentState.RESERVED),
            "nonce": nonce,
            "account": request.account,
            "kind": request.kind,
            "subject": request.subject,
            "size": request.size,
            "to": request.call.to,
            "data": request.call.data,
            "gas_limit": request.gas_limit,
            "bid": request.bid,
            "value_wad": request.value_wad,
            "planned_block": request.planned_block,
            "deadline_block": request.deadline_block,
            "uses": packed(request.uses),
            "spends": packed(request.spends),
        }
        key = connection.execute(insert(INTENTS).values(**values)).inserted_primary_key
        assert key is not None
        return intent_from(request, int(key[0]), nonce)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction. A failed write raises; `LiveExecution._guarded` emits the event and opens the breaker."""
        try:
            with self._engine.begin() as connection:
                self.right.fence(connection)
                yield connection
        except SQLAlchemyError as error:
            raise self._failed(f"the journal cannot be written: {database_message(error)}") from None


def open_journal(url: str, data_dir: Path, signer: bytes, chain_id: int, lease_s: float = DEFAULT_S) -> Journal:
    """The journal for writing, created when there is none or its file is damaged; a damaged file is moved away.

    `lease_s`: KEEPER_LEASE_S, for PostgreSQL.

    Raises OperatorError: exit code 3 when another keeper holds it, 2 when it cannot be used.
    """
    address = locate(url, data_dir)
    file = file_of(address)
    was_ours = file is not None and lock_of(file).is_file()
    lock = WriterLock(lock_of(file)) if file else None
    engine = engine_for(address, lease_s)
    right = FileLocks([lock]) if lock else Lease(engine, signer, chain_id, lease_s)
    aside = None
    try:
        if file and was_ours:
            aside = set_aside(file)
        right.take()
        with engine.begin() as connection:
            allow_pauses(connection)
            right.fence(connection)
            prepare(connection)
    except (OperatorError, SQLAlchemyError) as error:
        right.close()
        engine.dispose()
        if isinstance(error, OperatorError):
            raise
        raise unusable(error) from None
    return Journal(engine, right, signer, chain_id, aside)


def open_history(url: str, data_dir: Path) -> JournalReader:
    """The journal for reading. Raises OperatorError when there is none, or it cannot be used."""
    address = locate(url, data_dir)
    if file := file_of(address):
        if not file.is_file():
            raise NoJournal(
                f"there is no journal at {file}: the first `keeper run --live` creates it "
                "(KEEPER_DATA_DIR, KEEPER_DATABASE_URL)"
            )
        address = address.set(database=f"file:{file}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(address, hide_parameters=True)
    try:
        with engine.connect() as connection:
            check_version(version_of(connection))
    except (OperatorError, SQLAlchemyError) as error:
        engine.dispose()
        if isinstance(error, OperatorError):
            raise
        raise unusable(error) from None
    return JournalReader(engine)


def read_open_intents(url: str, data_dir: Path, chain_id: int, signer: bytes | None = None) -> list[Intent]:
    """A journal's intents without an outcome on one chain, of one signer or of all; none where there is no journal.

    Raises OperatorError when there is a journal that cannot be read.
    """
    try:
        history = open_history(url, data_dir)
    except NoJournal:
        return []
    try:
        return history.open_on(chain_id, signer)
    finally:
        history.close()


def read_intents(url: str, data_dir: Path) -> list[Intent]:
    """All intents of a journal, oldest first. Raises OperatorError when there is no journal."""
    history = open_history(url, data_dir)
    try:
        return history.intents()
    finally:
        history.close()


def _set_state(connection: Connection, intent_id: int, state: IntentState) -> None:
    connection.execute(update(INTENTS).where(INTENTS.c.id == intent_id).values(state=str(state)))


def _moved(connection: Connection, intent: Intent, state: IntentState | None) -> Intent:
    """The intent in its new state, which the row gets too; None for no change."""
    if state is None:
        return intent
    _set_state(connection, intent.id, transitions.advance(intent.state, state))
    return replace(intent, state=state)


def _same(attempt: Attempt) -> tuple[ColumnElement[bool], ...]:
    """The row of an attempt."""
    return ATTEMPTS.c.intent_id == attempt.intent_id, ATTEMPTS.c.tx_hash == attempt.tx_hash
