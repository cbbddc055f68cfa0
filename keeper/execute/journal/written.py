"""What this process wrote to the journal, or took up from it: what the rows have to say when they are read again."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from keeper.execute.journal.comparison import check_rows, check_state
from keeper.execute.journal.rows import load_by_id
from keeper.execute.journal.schema import INTENTS
from keeper.model.intent import Intent


class WrittenIntents:
    """Open intents as they were written last. An intent that is not known is taken from its rows."""

    def __init__(self) -> None:
        self._known: dict[int, Intent] = {}
        self._unsure: dict[int, Intent] = {}  # written in a transaction that failed: it may have been committed

    def keep(self, intents: Iterable[Intent]) -> None:
        """Remember what was committed, until it has ended."""
        for intent in intents:
            self._unsure.pop(intent.id, None)
            if intent.state.final:
                self._known.pop(intent.id, None)
            else:
                self._known[intent.id] = intent

    def expect(self, intent: Intent) -> None:
        """Remember an intent that has ended, which is about to be changed."""
        self._known[intent.id] = intent

    def doubt(self, intents: Iterable[Intent]) -> None:
        """Remember what a failed transaction wrote: whether the database has it is not known."""
        self._unsure.update({intent.id: intent for intent in intents})

    def before(self, connection: Connection, numbers: Sequence[int]) -> dict[int, Intent]:
        """These intents before a change, by id. Raises JournalAltered where the state in a row is another."""
        if not numbers:
            return {}
        self._resolve(connection, [number for number in numbers if number in self._unsure or number not in self._known])
        states = select(INTENTS.c.id, INTENTS.c.state).where(INTENTS.c.id.in_(numbers))
        found = {row.id: row.state for row in connection.execute(states)}
        for number in numbers:
            check_state(number, self._known[number].state, found.get(number, "missing"))
        return {number: self._known[number] for number in numbers}

    def check(self, connection: Connection, written: Iterable[Intent]) -> None:
        """Read intents back after a change. Raises JournalAltered where a row differs from what was written."""
        expected = {intent.id: intent for intent in written}
        found = load_by_id(connection, list(expected))
        for number, intent in expected.items():
            check_rows(intent, found.get(number))

    def _resolve(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Find out what a failed transaction left, and take up what is not known."""
        if not numbers:
            return
        found = load_by_id(connection, numbers)
        for number in numbers:
            known, unsure, row = self._known.get(number), self._unsure.pop(number, None), found.get(number)
            if known is not None and row != unsure:
                check_rows(known, row)
            elif row is not None:
                self._known[number] = row
