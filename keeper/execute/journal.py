"""The journal: what was signed, sent and achieved. Signed bytes are committed here before they may leave."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from keeper.errors import OperatorError, Transient
from keeper.execute import machine
from keeper.execute.draft import Draft
from keeper.execute.lock import WriterLock
from keeper.execute.tables import (
    ATTEMPTS,
    INTENTS,
    METADATA,
    OUTCOMES,
    SCHEMA,
    VERSION,
    attempt_of,
    attempt_row,
    intent_of,
    outcome_of,
    outcome_row,
    packed,
)
from keeper.model.intent import Attempt, Intent, IntentState, Outcome, SendResult

# version -> what brings a journal of that version to the next one
MIGRATIONS: dict[int, Callable[[Connection], None]] = {}


class JournalUnavailable(Transient):
    """The journal did not take a write or answer a read. No journal, no send."""


_FINAL = [state for state in IntentState if state.final]
_BUSY_S = 5


class History:
    """A journal opened for reading, while a keeper may be writing it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def intents(self) -> list[Intent]:
        """Every intent, oldest first. Raises JournalUnavailable when the database does not answer."""
        with self._reading() as connection:
            return _load(connection)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise JournalUnavailable(f"the journal cannot be read: {_reason(error)}") from None


class Journal(History):
    """A journal opened for writing, for one signer on one chain. Its methods block: call them off the event loop."""

    def __init__(self, engine: Engine, lock: WriterLock, signer: bytes, chain_id: int) -> None:
        super().__init__(engine)
        self._lock = lock
        self._owner = (INTENTS.c.signer == signer) & (INTENTS.c.chain_id == chain_id)
        self._identity = {"signer": signer, "chain_id": chain_id}

    def close(self) -> None:
        super().close()
        self._lock.close()

    def open_intents(self) -> list[Intent]:
        """Intents without an outcome, oldest first."""
        with self._reading() as connection:
            return _load(connection, self._owner & INTENTS.c.state.not_in(_FINAL))

    def settled_since(self, block: int) -> list[Intent]:
        """Intents whose outcome lies in this block or after: a reorg may take it back."""
        with self._reading() as connection:
            recent = select(OUTCOMES.c.intent_id).where(OUTCOMES.c.block_number >= block)
            return _load(connection, self._owner & INTENTS.c.id.in_(recent))

    def consumed_nonce(self) -> int:
        """The highest nonce that an outcome used, -1 for none."""
        with self._reading() as connection:
            states = INTENTS.c.state.in_(machine.CONSUMED)
            highest = connection.scalar(select(func.max(INTENTS.c.nonce)).where(self._owner & states))
            return -1 if highest is None else int(highest)

    def reserve(self, drafts: Sequence[tuple[Draft, int]]) -> list[Intent]:
        """New intents, each with its nonce, in one transaction."""
        with self._writing() as connection:
            ids = [self._insert(connection, draft, nonce) for draft, nonce in drafts]
            return _load(connection, INTENTS.c.id.in_(ids))

    def commit(self, attempts: Sequence[Attempt]) -> list[Intent]:
        """Signed bytes, in one transaction: when it returns they are on the disk and may leave."""
        with self._writing() as connection:
            for attempt in attempts:
                state = _state(connection, attempt.intent_id)
                _set_state(connection, attempt.intent_id, machine.after_signing(state, attempt.cancels))
                connection.execute(insert(ATTEMPTS).values(**attempt_row(attempt), reply="", reply_reason=""))
            return _in_order(connection, [attempt.intent_id for attempt in attempts])

    def note(self, answers: Sequence[tuple[Attempt, SendResult, IntentState | None]]) -> list[Intent]:
        """What nodes answered to attempts, and the states that follow, where others; in one transaction."""
        with self._writing() as connection:
            for attempt, result, state in answers:
                reply = {"reply": str(result.status), "reply_reason": result.reason}
                connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.tx_hash == attempt.tx_hash).values(**reply))
                _move(connection, attempt.intent_id, state)
            return _in_order(connection, [attempt.intent_id for attempt, _, _ in answers])

    def move(self, intent_id: int, state: IntentState) -> Intent:
        """Along one edge of the state machine. Raises InvariantBroken where there is none."""
        with self._writing() as connection:
            _move(connection, intent_id, state)
            return _in_order(connection, [intent_id])[0]

    def settle(self, ends: Sequence[tuple[int, IntentState, Outcome]]) -> list[Intent]:
        """The ends of intents, given by their ids, with what they cost and brought; in one transaction."""
        with self._writing() as connection:
            for intent_id, state, outcome in ends:
                connection.execute(insert(OUTCOMES).values(**outcome_row(intent_id, outcome)))
                _move(connection, intent_id, state)
            return _in_order(connection, [intent_id for intent_id, _, _ in ends])

    def reopen(self, intent: Intent) -> Intent:
        """Take an outcome back: its block is no longer part of the chain."""
        with self._writing() as connection:
            state = machine.reopened(_state(connection, intent.id), intent.attempts)
            connection.execute(delete(OUTCOMES).where(OUTCOMES.c.intent_id == intent.id))
            _set_state(connection, intent.id, state)
            return _load(connection, INTENTS.c.id == intent.id)[0]

    def _insert(self, connection: Connection, draft: Draft, nonce: int) -> int:
        values: dict[str, Any] = {
            **self._identity,
            "state": str(IntentState.RESERVED),
            "nonce": nonce,
            "account": draft.account,
            "kind": draft.kind,
            "subject": draft.subject,
            "size": draft.size,
            "to": draft.call.to,
            "data": draft.call.data,
            "gas_limit": draft.gas_limit,
            "bid": draft.bid,
            "value_wad": draft.value_wad,
            "planned_block": draft.planned_block,
            "deadline_block": draft.deadline_block,
            "uses": packed(draft.uses),
            "spends": packed(draft.spends),
        }
        key = connection.execute(insert(INTENTS).values(**values)).inserted_primary_key
        assert key is not None
        return int(key[0])

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise JournalUnavailable(f"the journal cannot be written: {_reason(error)}") from None


def locate(url: str, data_dir: Path) -> URL:
    """The journal's address; a relative SQLite path lies in `data_dir`. Raises OperatorError for a malformed URL."""
    try:
        found = make_url(url)
        found.get_dialect()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError):
        raise OperatorError("KEEPER_DATABASE_URL: not a database URL that this program can open") from None
    if found.get_backend_name() == "sqlite":
        if not found.database or found.database == ":memory:":
            raise OperatorError("KEEPER_DATABASE_URL: the journal must be a file, as in sqlite:///keeper.db")
        return found.set(database=str(data_dir / found.database))
    return found


def open_journal(url: str, data_dir: Path, signer: bytes, chain_id: int) -> Journal:
    """The journal for writing, made when there is none.

    Raises OperatorError: exit code 3 when another keeper holds it, 2 when it cannot be used.
    """
    address = locate(url, data_dir)
    is_file = address.get_backend_name() == "sqlite"
    lock = WriterLock(Path(f"{address.database}.lock") if is_file else data_dir / "keeper.lock")
    engine = create_engine(address, connect_args={"timeout": _BUSY_S} if is_file else {}, hide_parameters=True)
    if is_file:
        event.listen(engine, "connect", _make_durable)
    try:
        with engine.begin() as connection:
            _prepare(connection)
    except (OperatorError, SQLAlchemyError) as error:
        engine.dispose()
        lock.close()
        if isinstance(error, OperatorError):
            raise
        raise _unusable(error) from None
    return Journal(engine, lock, signer, chain_id)


def open_history(url: str, data_dir: Path) -> History:
    """The journal for reading. Raises OperatorError when there is none, or it cannot be used."""
    address = locate(url, data_dir)
    if address.get_backend_name() == "sqlite":
        if not Path(str(address.database)).is_file():
            raise OperatorError(
                f"there is no journal at {address.database}: it begins with the first `keeper run --live` "
                "(KEEPER_DATA_DIR, KEEPER_DATABASE_URL)"
            )
        address = address.set(database=f"file:{address.database}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(address, hide_parameters=True)
    try:
        with engine.connect() as connection:
            _check_version(_version(connection))
    except (OperatorError, SQLAlchemyError) as error:
        engine.dispose()
        if isinstance(error, OperatorError):
            raise
        raise _unusable(error) from None
    return History(engine)


def _make_durable(connection: Any, _: Any) -> None:
    """WAL lets readers in while we write; FULL puts a commit on the disk before it returns."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare(connection: Connection) -> None:
    """Make the tables, or bring an older journal up to date, in the caller's transaction."""
    version = _version(connection)
    if version is None:
        METADATA.create_all(connection)
        connection.execute(insert(SCHEMA).values(version=VERSION))
        return
    while version < VERSION and version in MIGRATIONS:
        MIGRATIONS[version](connection)
        version += 1
        connection.execute(update(SCHEMA).values(version=version))
    _check_version(version)


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(SCHEMA.name):
        return None
    return connection.scalar(select(SCHEMA.c.version))


def _check_version(version: int | None) -> None:
    if version is None:
        raise OperatorError("KEEPER_DATABASE_URL: the database holds no journal: start `keeper run --live` first")
    if version != VERSION:
        newer = "a newer" if version > VERSION else "an older"
        raise OperatorError(f"KEEPER_DATABASE_URL: the journal is of {newer} keeper (version {version}, not {VERSION})")


def _state(connection: Connection, intent_id: int) -> IntentState:
    return IntentState(connection.execute(select(INTENTS.c.state).where(INTENTS.c.id == intent_id)).scalar_one())


def _set_state(connection: Connection, intent_id: int, state: IntentState) -> None:
    connection.execute(update(INTENTS).where(INTENTS.c.id == intent_id).values(state=str(state)))


def _move(connection: Connection, intent_id: int, state: IntentState | None) -> None:
    if state is not None:
        _set_state(connection, intent_id, machine.advance(_state(connection, intent_id), state))


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


def _reason(error: SQLAlchemyError) -> str:
    """The database's own words, without the statement."""
    return str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__


def _unusable(error: SQLAlchemyError) -> OperatorError:
    action = "free it" if isinstance(error, OperationalError) else "move it aside to begin a new one"
    return OperatorError(f"KEEPER_DATABASE_URL: the journal cannot be used ({_reason(error)}): {action}")
