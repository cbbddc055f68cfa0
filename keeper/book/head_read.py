"""The bulk read at the book's head: state that no log announces, and the contract's own view for the audit."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from keeper.book.audit import Auditor, Mismatch, audit_calls, mismatches
from keeper.book.book import Book
from keeper.chain.ports import ChainReader
from keeper.model.chain import Call, CallResult
from keeper.protocols.base import Protocol, Snapshot

_LOOKS = 2  # reads of a block whose audit finds a difference


@dataclass(frozen=True, slots=True)
class HeadRead:
    """The book with what was read at its head."""

    snapshot: Snapshot
    mismatches: tuple[Mismatch, ...]  # accounts whose local health differs from the contract's
    answers: tuple[CallResult, ...]  # to the protocol's reads
    beside: tuple[CallResult, ...]  # to the caller's own reads


class HeadReader:
    """One request a block, whatever the number of accounts."""

    def __init__(self, reader: ChainReader, protocol: Protocol, audit_accounts: int) -> None:
        self._reader = reader
        self._protocol = protocol
        self._auditor = Auditor(audit_accounts)

    async def read(self, book: Book, beside: Sequence[Call]) -> HeadRead:
        """Read at the book's head; `beside` are calls of the caller's own. Raises Transient.

        A read whose audit finds a difference is repeated once: a node between two blocks may answer with the state of
        one and the timestamp of the other.
        """
        rows = self._auditor.choose(book)
        unread = set(book.unread)
        for _ in range(_LOOKS):
            book.unread |= unread
            found = await self._read(book, rows, beside)
            if not found.mismatches:
                break
        return found

    async def _read(self, book: Book, rows: Sequence[int], beside: Sequence[Call]) -> HeadRead:
        protocol, head = self._protocol, book.head
        assert head is not None
        calls = protocol.reads(book.state)
        asked = {account: protocol.account_reads(book.state, account) for account in book.unread}
        of_accounts = [call for found in asked.values() for call in found]
        audits = audit_calls(protocol, book.snapshot(None), rows)
        wanted = [*calls, *of_accounts, *beside, *audits]
        results = iter(await self._reader.read(head, wanted) if wanted else ())
        answers = tuple(islice(results, len(calls)))
        book.take_in({account: tuple(islice(results, len(found))) for account, found in asked.items()})
        snapshot = book.snapshot(protocol.decode_reads(book.state, answers))
        other = tuple(islice(results, len(beside)))
        return HeadRead(snapshot, mismatches(protocol, snapshot, rows, tuple(results)), answers, other)
