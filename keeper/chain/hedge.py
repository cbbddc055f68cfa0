"""Hedged reads: a second node is asked when the first is slow; the first usable answer counts."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from keeper.chain.errors import Unserved
from keeper.errors import Transient

T = TypeVar("T")
Try = Callable[[], Coroutine[Any, Any, T]]

_MOST_LATE = 8


class LateAnswers:
    """Reads that another node has answered already, a bounded number.

    They run to their end, so that the latency of their node is known.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def has_room(self) -> bool:
        return len(self._tasks) < _MOST_LATE

    def take(self, tasks: Iterable[asyncio.Task[Any]], wanted: bool) -> None:
        """Keep these until they end; cancel them when they are not wanted."""
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._end)
            if not wanted:
                task.cancel()

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, as nothing else awaits it

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class Latencies:
    """Latencies of one node's newest answers, in seconds."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=64)

    def note(self, seconds: float) -> None:
        self._newest.append(seconds)

    def p95(self, otherwise: float) -> float:
        """The 95th percentile; `otherwise` while there are fewer than eight answers."""
        if len(self._newest) < 8:
            return otherwise
        ordered = sorted(self._newest)
        return ordered[len(ordered) * 95 // 100]


async def first_answer(tries: Sequence[Try[T]], patience_s: float, late: LateAnswers) -> T:
    """The answer of the first try that gives one. The next try starts when one fails, and once after `patience_s`.

    Raises Transient when every try failed: an error that a node returned rather than a connection error.
    """
    waiting = deque(tries)
    running: set[asyncio.Task[T]] = set()
    problems: list[Transient] = []
    slow = False
    answered = False
    try:
        while waiting or running:
            if waiting and (slow or not running):
                running.add(asyncio.create_task(waiting.popleft()()))
            hedges = waiting and len(running) == 1 and late.has_room
            done, _ = await asyncio.wait(
                running, timeout=patience_s if hedges else None, return_when=asyncio.FIRST_COMPLETED
            )
            slow = not done
            for task in done:
                running.discard(task)
                try:
                    answer = task.result()
                except Transient as error:
                    problems.append(error)
                else:
                    answered = True
                    return answer
    finally:
        late.take(running, wanted=answered)
    raise worst(problems)


def worst(problems: Sequence[Transient]) -> Transient:
    """The failure to report: one that a node returned, else the first."""
    said = [problem for problem in problems if isinstance(problem, Unserved)]
    return next(iter([*said, *problems]), Transient("no node is available"))
