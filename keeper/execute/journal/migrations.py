"""What brings a journal of an older version up to date: each step for one version, within the caller's transaction."""

from sqlalchemy import Connection, text


def add_routes(connection: Connection) -> None:
    """1 to 2: attempts say how they travel. Those that are there went to public nodes."""
    connection.execute(text("ALTER TABLE attempts ADD COLUMN route VARCHAR(16) DEFAULT 'public' NOT NULL"))
