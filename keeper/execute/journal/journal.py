"""The journal: what was signed, sent and achieved. Signed bytes are committed here before they are sent."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from keeper.execute.journal.schema import (
    ATTEMPTS,
    INTENTS,
    OUTCOMES,
    attempt_of,
    attempt_row,
    intent_of,
    outcome_of,
    outcome_row,
    packed,
)
from keeper.execute.leadership.file_lock import FileLocks, WriterLock
from keeper.execute.leadership.lease import DEFAULT_S, Lease
from keeper.execute.leadership.right import WriteRight
from keeper.model.intent import Attempt, Intent, IntentState, Outcome, Route, SendResult, TxRequest

__all__ = ["Journal", "JournalReader", "locate", "open_history", "open_journal", "read_intents", "read_open_intents"]

_FINAL = [state for state in IntentState if state.final]


class JournalReader:
    """A journal opened for reading, while a keeper may be writing it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.failure = ""  # the database's last error

    def intents(self) -> list[Intent]:
        """Every intent, oldest first. Raises JournalUnavailable when the database does not answer."""
        with self._reading() as connection:
            return _load(connection)

    def open_on(self, chain_id: int, signer: bytes | None = None) -> list[Intent]:
        """Intents without an outcome on one chain, of one signer or of all, oldest first."""
        owner = INTENTS.c.chain_id == chain_id
        if signer is not None:
            owner &= INTENTS.c.signer == signer
        with self._reading() as connection:
            return _load(connection, owner & INTENTS.c.state.not_in(_FINAL))

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
        self._identity = {"signer": signer, "chain_id": chain_id}

    def close(self) -> None:
        self.right.close()
        super().close()

    def open_intents(self) -> list[Intent]:
        """Intents without an outcome, oldest first."""
        return self.open_on(self._chain_id, self._signer)

    def settled_since(self, block: int) -> list[Intent]:
        """Intents whose outcome lies in this block or after: a reorg may take it back."""
        with self._reading() as connection:
            recent = select(OUTCOMES.c.intent_id).where(OUTCOMES.c.block_number >= block)
            return _load(connection, self._owner & INTENTS.c.id.in_(recent))

    def consumed_nonce(self) -> int:
        """The highest nonce that an outcome used, -1 for none."""
        with self._reading() as connection:
            states = INTENTS.c.state.in_(transitions.CONSUMED)
            highest = connection.scalar(select(func.max(INTENTS.c.nonce)).where(self._owner & states))
            return -1 if highest is None else int(highest)

    def reserve(self, requests: Sequence[tuple[TxRequest, int]]) -> list[Intent]:
        """New intents, each with its nonce, in one transaction."""
        with self._writing() as connection:
            ids = [self._insert(connection, request, nonce) for request, nonce in requests]
            return _load(connection, INTENTS.c.id.in_(ids))

    def commit(self, attempts: Sequence[Attempt]) -> list[Intent]:
        """Signed bytes, in one transaction: when it returns they are on disk and may be sent."""
        with self._writing() as connection:
            for attempt in attempts:
                state = _state(connection, attempt.intent_id)
                _set_state(connection, attempt.intent_id, transitions.after_signing(state, attempt.cancels))
                connection.execute(insert(ATTEMPTS).values(**attempt_row(attempt), reply="", reply_reason=""))
            return _in_order(connection, [attempt.intent_id for attempt in attempts])

    def note(self, answers: Sequence[tuple[Attempt, SendResult, IntentState | None]]) -> list[Intent]:
        """Record the replies to attempts, and the new states where they change; in one transaction."""
        with self._writing() as connection:
            for attempt, result, state in answers:
                reply = {"reply": str(result.status), "reply_reason": result.reason}
                connection.execute(update(ATTEMPTS).where(*_same(attempt)).values(**reply))
                _move(connection, attempt.intent_id, state)
            return _in_order(connection, [attempt.intent_id for attempt, _, _ in answers])

    def publish(self, intent_id: int) -> Intent:
        """Record that its bytes may be sent to public nodes from now on."""
        with self._writing() as connection:
            public = update(ATTEMPTS).where(ATTEMPTS.c.intent_id == intent_id).values(route=str(Route.PUBLIC))
            connection.execute(public)
            return _in_order(connection, [intent_id])[0]

    def move(self, intent_id: int, state: IntentState) -> Intent:
        """Change the state along one edge of the state machine. Raises InvariantBroken where there is none."""
        with self._writing() as connection:
            _move(connection, intent_id, state)
            return _in_order(connection, [intent_id])[0]

    def settle(self, ends: Sequence[tuple[int, IntentState, Outcome]]) -> list[Intent]:
        """Record how intents, given by id, ended and what they earned; in one transaction."""
        with self._writing() as connection:
            for intent_id, state, outcome in ends:
                connection.execute(insert(OUTCOMES).values(**outcome_row(intent_id, outcome)))
                _move(connection, intent_id, state)
            return _in_order(connection, [intent_id for intent_id, _, _ in ends])

    def reopen(self, intent: Intent) -> Intent:
        """Take an outcome back: its block is no longer part of the chain."""
        with self._writing() as connection:
            state = transitions.reopened(_state(connection, intent.id), intent.attempts)
            connection.execute(delete(OUTCOMES).where(OUTCOMES.c.intent_id == intent.id))
            _set_state(connection, intent.id, state)
            return _load(connection, INTENTS.c.id == intent.id)[0]

    def _insert(self, connection: Connection, request: TxRequest, nonce: int) -> int:
        values: dict[str, Any] = {
            **self._identity,
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
        return int(key[0])

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
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


def _state(connection: Connection, intent_id: int) -> IntentState:
    return IntentState(connection.execute(select(INTENTS.c.state).where(INTENTS.c.id == intent_id)).scalar_one())


def _set_state(connection: Connection, intent_id: int, state: IntentState) -> None:
    connection.execute(update(INTENTS).where(INTENTS.c.id == intent_id).values(state=str(state)))


def _move(connection: Connection, intent_id: int, state: IntentState | None) -> None:
    if state is not None:
        _set_state(connection, intent_id, transitions.advance(_state(connection, intent_id), state))


def _same(attempt: Attempt) -> tuple[ColumnElement[bool], ...]:
    """The row of an attempt."""
    return ATTEMPTS.c.intent_id == attempt.intent_id, ATTEMPTS.c.tx_hash == attempt.tx_hash


def _in_order(connection: Connection, ids: Sequence[int]) -> list[Intent]:
    """The intents with these ids, in the order of the ids."""
    found = {intent.id: intent for intent in _load(connection, INTENTS.c.id.in_(ids))}
    return [found[intent_id] for intent_id in ids]


def _load(connection: Connection, where: ColumnElement[bool] | None = None) -> list[Intent]:
    """Intents with their attempts and outcomes, oldest first."""
    condition = INTENTS.c.id > 0 if where is None else where
    rows = connection.execute(select(INTENTS).where(condition).order_by(INTENTS.c.id)).mappings().all()
    chosen: ColumnElement[Any] | Any = select(INTENTS.c.id).where(condition)
    attempts: defaultdict[int, list[Attempt]] = defaultdict(list)
    for row in connection.execute(
        select(ATTEMPTS).where(ATTEMPTS.c.intent_id.in_(chosen)).order_by(ATTEMPTS.c.id)
    ).mappings():
        attempts[row["intent_id"]].append(attempt_of(row))
    ended = connection.execute(select(OUTCOMES).where(OUTCOMES.c.intent_id.in_(chosen))).mappings()
    outcomes = {row["intent_id"]: outcome_of(row) for row in ended}
    return [intent_of(row, tuple(attempts[row["id"]]), outcomes.get(row["id"])) for row in rows]
