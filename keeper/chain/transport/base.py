"""The interface of every transport, and the errors that they share."""

from collections.abc import Callable, Sequence
from typing import Protocol

from keeper.chain.codec import Envelope, WireNotice
from keeper.chain.errors import Unreachable
from keeper.errors import Transient

LARGEST_MESSAGE = 256 * 1024 * 1024

Notify = Callable[[WireNotice], None]


class Transport(Protocol):
    """Sends one request or batch and returns its answers."""

    async def exchange(self, body: bytes, ids: Sequence[int]) -> dict[int, Envelope]:
        """Answers by id, one for each of `ids`. Raises Transient."""
        ...

    async def wait_closed(self) -> None:
        """Wait until a connection with subscriptions ends; returns at once where there is none."""
        ...

    async def close(self) -> None: ...


def by_id(found: Sequence[Envelope], ids: Sequence[int]) -> dict[int, Envelope]:
    """Answers by id. Raises Transient when one is missing, appears twice, or was not asked for."""
    if len(found) == 1 and found[0].id is None and found[0].error:
        return dict.fromkeys(ids, found[0])  # the batch was refused as a whole
    answers = {envelope.id: envelope for envelope in found}
    if len(answers) != len(found) or answers.keys() != set(ids):
        raise Transient("unusable answer: its JSON-RPC ids are not those of the request")
    return {number: answers[number] for number in ids}


def unreachable(error: Exception) -> Unreachable:
    """A connection error, without the URL."""
    strerror = error.strerror if isinstance(error, OSError) else None
    return Unreachable(f"cannot connect ({strerror or type(error).__name__})")
