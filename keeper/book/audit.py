"""The parity audit: compares local health with the contract's own view, for some accounts in every block."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from keeper.book.book import Book
from keeper.model.chain import Call, CallResult
from keeper.protocols.base import Protocol, Snapshot


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An account whose local health differs from the contract's."""

    account: bytes
    difference: str


class Auditor:
    """Chooses the accounts: those that just changed first, then all others in turn."""

    def __init__(self, sample: int) -> None:
        self._sample = sample
        self._next = 0

    def choose(self, book: Book) -> list[int]:
        """Account rows to compare at the book's head."""
        count = len(book.columns)
        rows = sorted(book.touched)[: self._sample]
        while len(rows) < min(self._sample, count):
            if (row := self._next % count) not in rows:
                rows.append(row)
            self._next = (row + 1) % count
        return rows


def audit_calls(protocol: Protocol, snapshot: Snapshot, rows: Sequence[int]) -> list[Call]:
    """The contract's views for these rows. They depend on addresses only: readings are not needed."""
    return [call for row in rows for call in protocol.audit(snapshot, row)]


def mismatches(
    protocol: Protocol, snapshot: Snapshot, rows: Sequence[int], results: Sequence[CallResult]
) -> tuple[Mismatch, ...]:
    """Every row whose answers to `audit_calls` differ from local health at the block's own timestamp."""
    found, answers = [], iter(results)
    for row in rows:
        own = list(islice(answers, len(protocol.audit(snapshot, row))))
        if difference := protocol.audit_matches(snapshot, row, own):
            found.append(Mismatch(snapshot.columns.accounts.address(row), difference))
    return tuple(found)
