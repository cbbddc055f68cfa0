"""Where breakers, the kill switch and what was held last are kept: small tables of the journal.

In the journal's database rather than in a file: what stops a keeper must stop the one that takes over from it on
another machine, too. The kill switch is one row for every signer of a chain, so that setting it needs no key.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Table, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from keeper.errors import JournalUnavailable
from keeper.execute.breakers.breakers import DAY_S, BreakerState, TxResult
from keeper.execute.journal.database import database_message, engine_for, file_of, locate, unusable
from keeper.execute.journal.schema import CAPITAL, COMMANDS, ENDS, HOLDS, METADATA, by_token, packed
from keeper.execute.leadership.file_lock import make_data_dir
from keeper.execute.leadership.lease import allow_pauses
from keeper.model.breaker import BreakerName
from keeper.model.capital import Capital

EVERYONE = bytes(20)
_ADDRESS = 20  # bytes


class BreakerStore:
    """The tables, for one signer on one chain. Its methods block, and raise JournalUnavailable."""

    def __init__(self, engine: Engine, signer: bytes, chain_id: int) -> None:
        self._engine = engine
        self._signer = signer
        self._chain_id = chain_id
        self.fence: Callable[[Connection], None] = lambda _: None  # a keeper's right to write; commands need none

    def close(self) -> None:
        self._engine.dispose()

    def load(self) -> tuple[list[BreakerState], list[TxResult]]:
        """All breakers, and what ended within a day of the newest end."""
        with self._transaction() as connection:
            mine = self._mine(ENDS)
            newest = connection.scalar(select(func.max(ENDS.c.time_s)).where(mine)) or 0
            rows = connection.execute(select(ENDS).where(mine, ENDS.c.time_s > newest - DAY_S)).mappings()
            return self._states(connection), [_end(row) for row in rows]

    def exchange(self, states: Sequence[BreakerState], ends: Sequence[TxResult]) -> list[BreakerState]:
        """Write what changed, and read how all breakers stand now."""
        with self._transaction() as connection:
            self.fence(connection)
            for state in states:
                self._put(connection, state, self._signer)
            for end in ends:
                self._note(connection, end)
            return self._states(connection)

    def kill(self, reason: str, now_s: int) -> None:
        """Set the kill switch, for every signer of the chain."""
        with self._transaction() as connection:
            self._put(connection, BreakerState(BreakerName.KILL, reason, now_s), EVERYONE)

    def resume(self) -> list[BreakerState]:
        """Close all that is open, the kill switch too, and return it. What ended so far no longer counts."""
        with self._transaction() as connection:
            found = [state for state in self._states(connection) if state.reason]
            since = connection.scalar(select(func.max(ENDS.c.time_s)).where(self._mine(ENDS))) or 0
            for signer in (self._signer, EVERYONE):
                where = (HOLDS.c.chain_id == self._chain_id) & (HOLDS.c.signer == signer)
                connection.execute(
                    update(HOLDS).where(where, HOLDS.c.reason != "").values(reason="", since_s=since, until_block=None)
                )
            return found

    def capital(self) -> Capital | None:
        """What was held at the last look; None before the first, and where the row cannot be read."""
        with self._transaction() as connection:
            row = connection.execute(select(CAPITAL).where(self._mine(CAPITAL))).mappings().first()
        return _capital_of(row) if row else None

    def keep_capital(self, held: Capital) -> None:
        """Remember a look, instead of the one before."""
        values = {"block_number": held.block_number, "block_hash": held.block_hash, "nonce": held.nonce}
        units = packed({holder + token: amount for (holder, token), amount in held.units.items()})
        with self._transaction() as connection:
            self.fence(connection)
            connection.execute(delete(CAPITAL).where(self._mine(CAPITAL)))
            connection.execute(
                insert(CAPITAL).values(chain_id=self._chain_id, signer=self._signer, units=units, **values)
            )

    def commands(self) -> set[bytes]:
        """Hashes of the transactions that commands have sent."""
        with self._transaction() as connection:
            return set(connection.scalars(select(COMMANDS.c.tx_hash).where(self._mine(COMMANDS))))

    def note_command(self, tx_hash: bytes) -> None:
        """Remember a command's transaction, before it is sent."""
        with self._transaction() as connection:
            connection.execute(delete(COMMANDS).where(self._mine(COMMANDS), COMMANDS.c.tx_hash == tx_hash))
            connection.execute(insert(COMMANDS).values(chain_id=self._chain_id, signer=self._signer, tx_hash=tx_hash))

    def _states(self, connection: Connection) -> list[BreakerState]:
        signers = HOLDS.c.signer.in_([self._signer, EVERYONE])
        rows = connection.execute(select(HOLDS).where(HOLDS.c.chain_id == self._chain_id, signers)).mappings()
        return [BreakerState(row["name"], row["reason"], row["since_s"], row["until_block"]) for row in rows]

    def _put(self, connection: Connection, state: BreakerState, signer: bytes) -> None:
        key = {"chain_id": self._chain_id, "signer": signer, "name": str(state.name)}
        connection.execute(delete(HOLDS).where(*(HOLDS.c[name] == value for name, value in key.items())))
        values = {"reason": state.reason, "since_s": state.since_s, "until_block": state.until_block}
        connection.execute(insert(HOLDS).values(**key, **values))

    def _note(self, connection: Connection, end: TxResult) -> None:
        connection.execute(delete(ENDS).where(self._mine(ENDS), ENDS.c.intent_id == end.intent_id))
        connection.execute(delete(ENDS).where(self._mine(ENDS), ENDS.c.time_s < end.time_s - DAY_S))
        values = {name: getattr(end, name) for name in TxResult.__dataclass_fields__}
        connection.execute(insert(ENDS).values(chain_id=self._chain_id, signer=self._signer, **values))

    def _mine(self, table: Table) -> ColumnElement[bool]:
        return (table.c.chain_id == self._chain_id) & (table.c.signer == self._signer)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise JournalUnavailable(f"the journal cannot be used: {database_message(error)}") from None


def _end(row: RowMapping) -> TxResult:
    return TxResult(**{name: row[name] for name in TxResult.__dataclass_fields__})


def _capital_of(row: RowMapping) -> Capital | None:
    """None for values that are none of a look's: SQLite keeps a value of any type in any column."""
    number, block_hash, nonce = row["block_number"], row["block_hash"], row["nonce"]
    try:
        units = by_token(row["units"])
    except (AttributeError, TypeError, ValueError):
        return None
    if type(number) is not int or type(nonce) is not int or type(block_hash) is not bytes:
        return None
    return Capital(number, block_hash, nonce, {(key[:_ADDRESS], key[_ADDRESS:]): n for key, n in units.items()})


def open_breaker_store(url: str, data_dir: Path, signer: bytes, chain_id: int) -> BreakerStore:
    """The tables, made where there are none. Needs no lock. Raises OperatorError."""
    address = locate(url, data_dir)
    file = file_of(address)
    if file and not file.is_file():
        make_data_dir(file.parent)
    engine = engine_for(address)
    try:
        with engine.begin() as connection:
            allow_pauses(connection)
            METADATA.create_all(connection, tables=[HOLDS, ENDS, CAPITAL, COMMANDS])
    except SQLAlchemyError as error:
        engine.dispose()
        raise unusable(error) from None
    return BreakerStore(engine, signer, chain_id)


def open_breakers(url: str, data_dir: Path, signer: bytes, chain_id: int) -> dict[str, str]:
    """Name and reason of the open ones, as the tables have them; none where there is no journal.

    Raises OperatorError or JournalUnavailable.
    """
    file = file_of(locate(url, data_dir))
    if file and not file.is_file():
        return {}
    store = open_breaker_store(url, data_dir, signer, chain_id)
    try:
        return {str(state.name): state.reason for state in store.load()[0] if state.reason}
    finally:
        store.close()
