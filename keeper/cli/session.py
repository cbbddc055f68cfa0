"""How one-shot commands reach the chain: connect, check the deployment, read, disconnect."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from keeper.cli.interrupt import run_interruptible

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.model.events import Event
    from keeper.protocols.base import Snapshot
    from keeper.settings import Settings

T = TypeVar("T")


def ignore(_: "Event") -> None:
    """An emit for commands that log no events."""


@asynccontextmanager
async def connected(settings: "Settings", keeper: bytes = b"") -> AsyncIterator["Session"]:
    """A connected session. Raises OperatorError when a node or the deployment does not match the settings."""
    from keeper.app.session import open_session

    session = await open_session(settings, ignore, keeper=keeper)
    try:
        yield session
    finally:
        await session.chain.close()


async def snapshot_at(session: "Session", number: int | None) -> "Snapshot":
    """Every account as of a block, the newest when None.

    Raises OperatorError for a block after the newest one or before the deployment.
    """
    from keeper.book.sync import load_snapshot
    from keeper.errors import OperatorError

    start = session.deployment.start_block
    if number is not None:
        head = await session.chain.reader.head()
        if number > head.number:
            raise OperatorError(f"--block {number} is after the newest block, {head.number}")
        if number < start:
            raise OperatorError(f"--block {number} is before the deployment's start_block, {start}")
    return await load_snapshot(session.chain.reader, session.protocol, start, number)


def run_once(settings: "Settings", work: Callable[["Session"], Awaitable[T]], keeper: bytes = b"") -> T:
    """Connect, do the work, disconnect. keeper: the signer's address, where the work depends on it.

    Raises Interrupted when a signal ended it.
    """

    async def main() -> T:
        async with connected(settings, keeper) as session:
            return await work(session)

    return run_interruptible(main())


def signer_address(settings: "Settings") -> bytes | None:
    """Address of the signer, None when the settings name none. Raises OperatorError for one that cannot be read."""
    from keeper.app.signers import signer_of

    return signer_of(settings).address if settings.signers else None
