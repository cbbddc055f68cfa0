"""What brings a journal of an older version up to date: each step for one version, within the caller's transaction."""

from collections.abc import Callable

from sqlalchemy import Connection, text


def add_routes(connection: Connection) -> None:
    """1 to 2: attempts say how they travel. Those that are there went to public nodes."""
    connection.execute(text("ALTER TABLE attempts ADD COLUMN route VARCHAR(16) DEFAULT 'public' NOT NULL"))


def add_breakers(_: Connection) -> None:
    """2 to 3: the breakers' tables belong to the journal. Nothing changes: opening the breakers makes missing ones."""


# version -> what brings a journal of that version to the next one
MIGRATIONS: dict[int, Callable[[Connection], None]] = {1: add_routes, 2: add_breakers}
