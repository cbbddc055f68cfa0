"""The lease: one writer for each signer and chain among keepers on several machines, kept in PostgreSQL.

A row holds a token that grows with each holder, and when the lease expires by the database's clock. The token makes it
safe: every transaction of the journal checks that its keeper's token is still the newest and fails otherwise, so that
a keeper that wakes up late signs nothing. Bytes that it signed before are in the journal that its successor reads:
sent again, they are the same transaction.
A lock that ends with the holder's session makes it fast: a keeper that dies is succeeded at once; only for one that
hangs or lost its network does the successor wait until the lease expires.
"""

import hashlib
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Interval,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Update,
    bindparam,
    func,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from keeper.chain.ports import ChainReader
from keeper.clock import uptime
from keeper.errors import LeaseLost, OperatorError
from keeper.execute.leadership.right import HELD

DEFAULT_S = 4.0
METADATA = MetaData()
LEASES = Table(
    "leases",
    METADATA,
    Column("signer", LargeBinary(20), primary_key=True),
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("token", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)
_NOW: ColumnElement[datetime] = func.clock_timestamp()
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA_KEY = 0x6B6565706572  # the advisory lock under which tables are made
PAUSE_MS = 5000  # between two statements of an opening transaction: a busy machine needs it, a frozen one is ended


def allow_pauses(connection: Connection) -> None:
    """Let this transaction of a PostgreSQL session pause for PAUSE_MS at least, however short the lease is.

    For opening, migrating and taking up, which compute between statements. The write limit stays short: a frozen
    write holds up the successor.
    """
    if connection.dialect.name != "postgresql":
        return
    longer = text(
        "SELECT set_config(name, greatest(setting::int, :least)::text, true) FROM pg_settings WHERE name = :name"
    )
    for name, least in (("idle_in_transaction_session_timeout", PAUSE_MS), ("statement_timeout", 2 * PAUSE_MS)):
        connection.execute(longer, {"name": name, "least": least})


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as it stands in the database. `free`: any keeper may take it."""

    token: int
    holder: str
    expires_at: datetime
    free: bool

    def __str__(self) -> str:
        return f"{self.holder} (lease {self.token})"


class Lease:
    """The right to write, from `take` until it is closed, expires, or another keeper takes it."""

    def __init__(
        self,
        engine: Engine,
        signer: bytes,
        chain_id: int,
        duration_s: float = DEFAULT_S,
        clock: Callable[[], float] = uptime,
    ) -> None:
        self.token = 0
        self.duration_s = duration_s
        self._engine = engine
        self._key = (signer, chain_id)
        self._mine = (LEASES.c.signer == signer) & (LEASES.c.chain_id == chain_id)
        self._length = bindparam("length", timedelta(seconds=duration_s), Interval)
        self._clock = clock
        self._session: Connection | None = None
        self._until = float("-inf")
        self._why = ""  # the first reason of its loss
        self._using = threading.Lock()  # the session is renewed in a thread, and closed in another

    def take(self) -> None:
        """Become the holder. Raises OperatorError (exit code 3) when another is, SQLAlchemyError without a database."""
        session = self._engine.connect()
        try:
            with session.begin():
                allow_pauses(session)
                self._prepare(session)
                begun = self._clock()
                self.token = self._claim(session)
        except BaseException:
            session.invalidate()
            session.close()
            raise
        self._session, self._until = session, begun + self.duration_s

    def _prepare(self, session: Connection) -> None:
        if not inspect(session).has_table(LEASES.name):
            session.execute(select(func.pg_advisory_xact_lock(_SCHEMA_KEY)))
            METADATA.create_all(session)
        signer, chain_id = self._key
        row = {"signer": signer, "chain_id": chain_id, "token": 0, "holder": "nobody", "expires_at": _LONG_AGO}
        session.execute(insert(LEASES).values(row).on_conflict_do_nothing())

    def _claim(self, session: Connection) -> int:
        """The next token, when the newest holder is dead or its lease expired."""
        if not self._read(session).free:
            self._refuse(session)
        session.execute(select(LEASES.c.token).where(self._mine).with_for_update())  # waits for what is being written
        if not (found := self._read(session)).free:
            self._refuse(session)
        token = found.token + 1
        session.execute(select(func.pg_advisory_lock(self._session_key(token))))
        holder = f"{socket.gethostname()}:{os.getpid()}"
        taken = {"token": token, "holder": holder, "expires_at": _NOW + self._length}
        session.execute(update(LEASES).where(self._mine).values(taken))
        return token

    def _refuse(self, session: Connection) -> None:
        raise OperatorError(
            f"another keeper holds this signer: {self._read(session)}; stop it, or set KEEPER_STANDBY to wait for it",
            exit_code=HELD,
        )

    def look(self, session: Connection) -> LeaseRow | None:
        """The holder; None when there never was one."""
        return self._read(session) if inspect(session).has_table(LEASES.name) and self._exists(session) else None

    def _exists(self, session: Connection) -> bool:
        return session.scalar(select(LEASES.c.token).where(self._mine)) is not None

    def _read(self, session: Connection) -> LeaseRow:
        columns = (LEASES.c.token, LEASES.c.holder, LEASES.c.expires_at, (LEASES.c.expires_at <= _NOW).label("expired"))
        row = session.execute(select(*columns).where(self._mine)).one()
        free = row.expired or bool(session.scalar(select(func.pg_try_advisory_xact_lock(self._session_key(row.token)))))
        return LeaseRow(row.token, row.holder, row.expires_at, free)

    def _session_key(self, token: int) -> int:
        """The advisory lock that a holder's session keeps while it lives: another one for each token."""
        signer, chain_id = self._key
        digest = hashlib.sha256(b"lease" + signer + f"{chain_id}:{token}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def fence(self, connection: Connection) -> None:
        """Lock the row against a successor until the transaction ends; renewals pass. Raises LeaseLost."""
        newest: ColumnElement[int] = LEASES.c.token
        found = connection.scalar(select(newest).where(self._mine).with_for_update(read=True, key_share=True))
        if found != self.token or not self.token:
            self._lose(f"another keeper took over (lease {found}, this one had {self.token})")

    def __str__(self) -> str:
        return f"lease {self.token}"

    def is_valid(self) -> bool:
        """By the local clock, counted from before the database was asked, so never longer than the database says."""
        return self._clock() < self._until

    def renew(self) -> None:
        with self._using:
            if self._session is None or not self.is_valid():
                self._lose("it expired before it was renewed")
            assert self._session is not None
            begun = self._clock()
            try:
                with self._session.begin():
                    renewed = self._session.execute(self._extension(_NOW + self._length))
            except SQLAlchemyError as error:
                self._lose(f"the database did not renew it ({type(error).__name__})")
            if renewed.rowcount != 1:
                self._lose("another keeper took over")
            self._until = begun + self.duration_s

    def _extension(self, until: ColumnElement[datetime]) -> Update:
        """An update that changes nothing once another keeper has the newest token."""
        return update(LEASES).where(self._mine & (LEASES.c.token == self.token)).values(expires_at=until)

    def _lose(self, why: str) -> None:
        self._until = float("-inf")
        self._why = self._why or why
        raise LeaseLost(f"lost the lease: {self._why}")

    def close(self) -> None:
        """Give it back at once, if the database answers."""
        with self._using:
            session, self._session = self._session, None
            self._until = float("-inf")
            if session is None:
                return
            try:
                with session.begin():
                    session.execute(self._extension(_NOW))
            except SQLAlchemyError:
                pass  # it expires by itself
            finally:
                session.invalidate()
                session.close()


BLOCKS = 16  # over which the time between blocks is taken
SHORTEST_S, LONGEST_S = 1.0, 6.0


async def lease_length(setting: float | None, reader: ChainReader) -> float:
    """Seconds: KEEPER_LEASE_S, or half the time between blocks, within bounds. Raises Transient."""
    if setting is not None:
        return setting
    head = await reader.head()
    earlier = await reader.block_by_number(max(head.number - BLOCKS, 0))
    block_s = (head.timestamp - earlier.timestamp) / max(head.number - earlier.number, 1)
    return min(max(block_s / 2, SHORTEST_S), LONGEST_S)
