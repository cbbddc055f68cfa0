"""A read that is asked of a second node when the first takes longer than usual; the first usable answer wins."""

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
    """Answers that are still due to reads that another node has answered: so few that they do not pile up.

    They are waited for, not cancelled: how long they take says how fast their node is.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def has_room(self) -> bool:
        return len(self._tasks) < _MOST_LATE

    def take(self, tasks: Iterable[asyncio.Task[Any]], wanted: bool) -> None:
        """Look after these until they end; at once when they are no longer wanted."""
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._end)
            if not wanted:
                task.cancel()

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: nobody else will ask

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class Latencies:
    """The newest answers' times of one node, in seconds."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=64)

    def note(self, seconds: float) -> None:
        self._newest.append(seconds)

    def p95(self, otherwise: float) -> float:
        """`otherwise` before there are enough of them."""
        if len(self._newest) < 8:
            return otherwise
        ordered = sorted(self._newest)
        return ordered[len(ordered) * 95 // 100]


async def first_answer(tries: Sequence[Try[T]], patience_s: float, late: LateAnswers) -> T:
    """What the first try gives. The next one begins when one has failed, or once when the first takes too long.

    Raises Transient, what a node said rather than what was wrong with the way to it, when no try gives anything.
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
    """What to tell of several failures: what a node said, else what came first."""
    said = [problem for problem in problems if isinstance(problem, Unserved)]
    return next(iter([*said, *problems]), Transient("no node can be asked now"))
