"""The comparison of nodes' heads leaves no read behind when it is cancelled."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from keeper.chain.watch import Watch
from keeper.errors import Transient


class Node:
    """What the comparison sees of a node."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.health = SimpleNamespace(head=0)


class Failing:
    """A pool whose nodes fail once they are gone, or not asked any more."""

    def __init__(self) -> None:
        self.endpoints = [Node("a"), Node("b")]
        self.policy = SimpleNamespace(reorg=10)
        self.asked = 0
        self.gone = asyncio.Event()

    async def ask(self, node: Any, question: Callable[[Any], Awaitable[Any]]) -> Any:
        self.asked += 1
        with suppress(asyncio.CancelledError):
            await self.gone.wait()
        raise Transient(f"{node.name} is gone")


async def test_reads_that_fail_after_it_was_cancelled_are_not_reported_as_never_retrieved() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    pool = Failing()
    looking = asyncio.create_task(Watch(pool, lambda _: None).newest())  # type: ignore[arg-type]
    while pool.asked < len(pool.endpoints):  # noqa: ASYNC110
        await asyncio.sleep(0)
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    pool.gone.set()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert reported == []
