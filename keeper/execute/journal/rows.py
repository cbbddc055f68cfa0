"""Reads intents from the journal's tables. A row that cannot be read is one that somebody altered."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from keeper.errors import JournalAltered
from keeper.execute.journal.schema import ATTEMPTS, INTENTS, OUTCOMES, attempt_of, intent_of, outcome_of
from keeper.model.intent import Attempt, Intent

_MALFORMED = (AttributeError, KeyError, OverflowError, TypeError, ValueError)  # what reading of other types raises


def load(connection: Connection, where: ColumnElement[bool] | None = None) -> list[Intent]:
    """Intents with their attempts and outcomes, oldest first. Raises JournalAltered for a row that is malformed."""
    try:
        return _load(connection, INTENTS.c.id > 0 if where is None else where)
    except _MALFORMED as error:
        raise JournalAltered(f"the journal was altered: a row cannot be read: {error}") from None


def load_readable(connection: Connection, where: ColumnElement[bool]) -> tuple[list[Intent], list[JournalAltered]]:
    """The same, without intents that cannot be read: the errors name these."""
    try:
        return load(connection, where), []
    except JournalAltered:
        intents, unreadable = list[Intent](), list[JournalAltered]()
    for number in connection.scalars(select(INTENTS.c.id).where(where).order_by(INTENTS.c.id)).all():
        try:
            intents += _load(connection, INTENTS.c.id == number)
        except _MALFORMED as error:
            problem = f"the journal was altered: intent {number} cannot be read: {error}"
            unreadable.append(JournalAltered(problem, number))
    return intents, unreadable


def load_by_id(connection: Connection, numbers: Sequence[int]) -> dict[int, Intent]:
    """Intents by id, without those that have no row. Raises JournalAltered."""
    return {intent.id: intent for intent in load(connection, INTENTS.c.id.in_(numbers))}


def _load(connection: Connection, condition: ColumnElement[bool]) -> list[Intent]:
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
