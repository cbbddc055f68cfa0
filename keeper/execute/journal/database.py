"""The journal's database: where it lies, how it is opened, and which version its tables have."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from keeper.errors import NoJournal, OperatorError
from keeper.execute.journal.migrations import MIGRATIONS
from keeper.execute.journal.schema import METADATA, OLDEST_READ, SCHEMA, VERSION

_BUSY_S = 5


def locate(url: str, data_dir: Path) -> URL:
    """The journal's address; a relative SQLite path lies in `data_dir`. Raises OperatorError for a malformed URL."""
    try:
        found = make_url(url)
        found.get_dialect()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError):
        raise OperatorError(
            "KEEPER_DATABASE_URL is not a database URL: give sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from None
    kind = found.get_backend_name()
    if kind == "sqlite":
        if not found.database or found.database == ":memory:":
            raise OperatorError("KEEPER_DATABASE_URL: the journal must be a file, as in sqlite:///keeper.db")
        return found.set(database=str(data_dir / found.database))
    if kind != "postgresql":
        raise OperatorError(
            "KEEPER_DATABASE_URL is neither SQLite nor PostgreSQL: give sqlite:///FILE or postgresql://USER@HOST/NAME"
        )
    return found.set(drivername="postgresql+psycopg")


def file_of(address: URL) -> Path | None:
    """The file of an SQLite journal; None for a server."""
    return Path(str(address.database)) if address.get_backend_name() == "sqlite" else None


def set_aside(file: Path) -> Path | None:
    """Move a damaged journal away, so that a new one can be created. Returns its new path, None if it is sound.

    Only for files that a keeper has locked before: other files are never moved. Raises OperatorError.
    """
    if not file.is_file() or _is_sound(file):
        return None
    aside = file.with_name(f"{file.name}.damaged-{file.stat().st_mtime_ns}")
    try:
        for suffix in ("", "-wal", "-shm"):
            part = file.with_name(file.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise OperatorError(f"KEEPER_DATABASE_URL: {file} is damaged and cannot be renamed: {error.strerror}") from None
    return aside


def lock_of(file: Path) -> Path:
    """The lock file of an SQLite journal."""
    return file.with_name(f"{file.name}.lock")


def _is_sound(file: Path) -> bool:
    """Whether SQLite finds no damage; a file that it cannot open counts as sound."""
    try:
        with closing(sqlite3.connect(file, timeout=_BUSY_S)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:
        return True
    except sqlite3.DatabaseError:
        return False


def engine_for(address: URL, wait_s: float = _BUSY_S) -> Engine:
    """An engine that writes. `wait_s`: seconds, for the limits of a server.

    Raises OperatorError when the driver is missing.
    """
    if file_of(address):
        engine = create_engine(address, connect_args={"timeout": _BUSY_S}, hide_parameters=True)
        event.listen(engine, "connect", _make_durable)
        return engine
    try:
        engine = create_engine(address, connect_args=_server_limits(wait_s), hide_parameters=True)
    except ModuleNotFoundError:
        raise OperatorError(
            "KEEPER_DATABASE_URL: PostgreSQL needs its driver: pip install 'liquidation-keeper[postgres]'"
        ) from None
    frozen_ms = max(int(wait_s * 500), 100)
    event.listen(engine, "connect", lambda connection, _: _end_when_frozen(connection, frozen_ms))
    return engine


def _end_when_frozen(connection: Any, after_ms: int) -> None:
    """The server ends a session that freezes within a transaction: it would block the successor.

    Set once SQLAlchemy has asked a new session what it is: on a busy machine that takes long, and blocks nobody.
    """
    connection.execute(f"SET idle_in_transaction_session_timeout = {after_ms}")
    connection.commit()


def _make_durable(connection: Any, _: Any) -> None:
    """WAL allows reads during writes; FULL writes a commit to disk before it returns."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _server_limits(wait_s: float) -> dict[str, Any]:
    whole_s = max(round(wait_s), 2)
    return {
        "options": f"-c statement_timeout={whole_s * 1000} -c synchronous_commit=on",
        "connect_timeout": whole_s,
        "tcp_user_timeout": whole_s * 1000,
        "keepalives_idle": whole_s,
        "application_name": "keeper",
    }


def prepare(connection: Connection) -> None:
    """Make the tables, or bring an older journal up to date, in the caller's transaction. Raises OperatorError."""
    version = version_of(connection)
    if version is None:
        METADATA.create_all(connection)
        connection.execute(insert(SCHEMA).values(version=VERSION))
        return
    while version < VERSION and version in MIGRATIONS:
        MIGRATIONS[version](connection)
        version += 1
        connection.execute(update(SCHEMA).values(version=version))
    check_version(version, VERSION)
    connection.execute(update(SCHEMA).values(version=version))  # what cannot be written is not a journal


def version_of(connection: Connection) -> int | None:
    """None when there is no journal."""
    if not inspect(connection).has_table(SCHEMA.name):
        return None
    return connection.scalar(select(SCHEMA.c.version))


def check_version(version: int | None, oldest: int = OLDEST_READ) -> None:
    """Raises OperatorError for a journal older than `oldest`, or newer than this program."""
    if version is None:
        raise NoJournal("KEEPER_DATABASE_URL: the database holds no journal: start `keeper run --live` first")
    if not oldest <= version <= VERSION:
        reads = f"up to {VERSION}: install the newer keeper"
        if version < oldest:
            reads = f"{oldest} or newer: `keeper run --live` migrates it"
        raise OperatorError(f"KEEPER_DATABASE_URL: the journal has version {version}, this keeper reads {reads}")


def database_message(error: SQLAlchemyError) -> str:
    """The database's message on one line, without the statement."""
    words = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
    return " ".join(words.split())


def unusable(error: SQLAlchemyError) -> OperatorError:
    """The error for a journal that cannot be opened."""
    if not (isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error)):
        action = "check the server, its log and the rights of the URL's user"
    elif isinstance(error, OperationalError):
        action = "end the program that locks it"
    else:
        action = "move the file away to create a new one"
    return OperatorError(f"KEEPER_DATABASE_URL: the journal cannot be used ({database_message(error)}): {action}")
