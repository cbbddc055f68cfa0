"""A chain behind a fault proxy behind a node, and the events that it emitted."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from keeper.chain.connect import Chain, connect
from keeper.model.events import Event
from tests.support.anvil import Anvil, free_port
from tests.support.proxy import FaultProxy

Dial = Callable[..., Awaitable[Chain]]


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
async def proxy(anvil: Anvil) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(anvil.url) as running:
        yield running


@pytest.fixture
async def dial(events: list[Event]) -> AsyncIterator[Dial]:
    """Connects; every chain is closed after the test."""
    chains: list[Chain] = []

    async def connected(*urls: str, timeout_s: float = 5.0) -> Chain:
        chains.append(await connect(urls, 31337, timeout_s, events.append))
        return chains[-1]

    yield connected
    for chain in chains:
        await chain.close()


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    """A connection that nobody closed warns when it is collected, and warnings are errors."""
    yield
    gc.collect()


@pytest.fixture
def free_url() -> str:
    """Where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"
