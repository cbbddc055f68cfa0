"""Running work until the keeper is asked to stop."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from keeper.execute.execution import Execution
from keeper.model.chain import BlockRef

T = TypeVar("T")


DRAIN_S = 9.0  # for a send that is in progress when the keeper is asked to stop
LAST_S = 1.0  # for writing its outcome


async def or_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`; None when the keeper is asked to stop before it is done."""
    task = asyncio.ensure_future(work)
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, stopping):
            one.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


async def finish_turn(turn: asyncio.Future[int], stop: asyncio.Event, execution: Execution) -> int:
    """The result of one block's turn.

    When the keeper is asked to stop meanwhile, the turn sends nothing new, finishes what it is sending and records it.
    After DRAIN_S the next start continues it.
    """
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({turn, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not turn.done():
            await execution.drain(DRAIN_S)
            await asyncio.wait({turn}, timeout=LAST_S)
        return turn.result() if turn.done() else 0
    finally:
        for task in (turn, stopping):
            task.cancel()
        await asyncio.gather(turn, stopping, return_exceptions=True)


async def until_stopped(stop: asyncio.Event, heads: AsyncIterator[BlockRef]) -> AsyncIterator[BlockRef]:
    """Heads until `stop` is set, also while no head arrives."""
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    coming: asyncio.Future[BlockRef] | None = None
    try:
        while not stop.is_set():
            coming = asyncio.ensure_future(anext(heads))
            await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                return
            yield coming.result()
    finally:
        tasks = [task for task in (coming, stopping) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
