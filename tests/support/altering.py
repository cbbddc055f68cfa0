"""Somebody who can write to the journal's database: statements and triggers, in SQLite and PostgreSQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine

from keeper.execute.journal.database import file_of, locate

Value = bytes | int | str


@dataclass(frozen=True)
class Intruder:
    """Writes to the journal behind the keeper's back."""

    url: str
    data_dir: Path

    def run(self, *statements: str) -> None:
        """Execute SQL, in one transaction."""
        engine = create_engine(locate(self.url, self.data_dir))
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%") if not self._is_file else statement)
        engine.dispose()

    def update(self, table: str, column: str, value: Value) -> None:
        """Set a column in all rows."""
        self.run(f'UPDATE {table} SET "{column}" = {self._literal(value)}')

    def insert(self, table: str, values: Mapping[str, Value]) -> None:
        names = ", ".join(f'"{name}"' for name in values)
        self.run(f"INSERT INTO {table} ({names}) VALUES ({', '.join(map(self._literal, values.values()))})")

    def trigger(self, event: str, table: str, column: str, value: Value) -> None:
        """From now on each INSERT, or UPDATE, of a row sets a column of it."""
        literal = self._literal(value)
        if self._is_file:
            body = f'UPDATE {table} SET "{column}" = {literal} WHERE id = NEW.id;'
            self.run(f"CREATE TRIGGER evil AFTER {event} ON {table} BEGIN {body} END")
            return
        body = f'BEGIN NEW."{column}" := {literal}; RETURN NEW; END'
        self.run(
            f"CREATE FUNCTION evil() RETURNS trigger AS $$ {body} $$ LANGUAGE plpgsql",
            f"CREATE TRIGGER evil BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION evil()",
        )

    def leave(self) -> None:
        """Drop the trigger."""
        table = "ON intents" if not self._is_file else ""
        self.run(f"DROP TRIGGER IF EXISTS evil {table}")

    @property
    def _is_file(self) -> bool:
        return file_of(locate(self.url, self.data_dir)) is not None

    def _literal(self, value: Value) -> str:
        if isinstance(value, bytes):
            return f"x'{value.hex()}'" if self._is_file else f"'\\x{value.hex()}'::bytea"
        return f"'{value}'" if isinstance(value, str) else str(value).upper()
