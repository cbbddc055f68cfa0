"""How many requests one node gets at once: half after each "too many requests", one more after enough successes.

Reads wait in a queue by priority; a full queue drops the least important. Sends do not wait in it.
"""

import asyncio
import random
import re
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

from keeper.chain.errors import HttpStatus, RpcError, Unserved
from keeper.chain.node_state import Random
from keeper.clock import Clock
from keeper.errors import Transient

MOST_AT_ONCE = 16
_LONGEST_QUEUE = 256
_FIRST_WAIT_S = 0.5
_LONGEST_OWN_WAIT_S = 5.0
_LONGEST_WAIT_S = 600.0
_JITTER = 0.25

_THROTTLED = re.compile(r"rate.?limit|too many requests|requests? limit|request rate|compute units|credits|daily limit")
_TOO_MUCH_ASKED = re.compile(r"result|range|response size|logs? ")
_LIMIT_EXCEEDED, _TOO_MANY = -32005, 429


class Priority(IntEnum):
    """Which read goes first when a node is busy."""

    BLOCK = 0  # reads for the newest block
    WORK = 1
    SPARE = 2  # can be skipped


class Shed(Unserved):
    """A read was not sent: the node asked to wait, or the queue is full. The node is not at fault."""


def asks_to_wait(error: Transient) -> bool:
    """Whether a node's error means too many requests, rather than one request for too much."""
    if isinstance(error, HttpStatus):
        return error.overloaded
    if not isinstance(error, RpcError):
        return False
    text = error.message.lower()
    if _THROTTLED.search(text) or error.code == _TOO_MANY:
        return True
    return error.code == _LIMIT_EXCEEDED and not _TOO_MUCH_ASKED.search(text)


class ConcurrencyLimit:
    """Slots for the reads of one node, by additive increase and multiplicative decrease.

    Take one with `enter`, give it back with `leave`.
    """

    def __init__(self, clock: Clock, patience_s: float, jitter: Random = random.random) -> None:
        self.limit = MOST_AT_ONCE
        self.used = 0
        self._clock = clock
        self._patience_s = patience_s
        self._jitter = jitter
        self._queue: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._turn = count()
        self._open_at = float("-inf")
        self._own_wait_s = 0.0
        self._earned = 0

    @property
    def busy(self) -> bool:
        """Another read would have to wait."""
        return self.used >= self.limit or self.wait_s > 0

    @property
    def wait_s(self) -> float:
        """Seconds until the node may be asked again."""
        return max(self._open_at - self._clock.monotonic(), 0.0)

    async def enter(self, priority: Priority) -> None:
        """Wait for a slot. Raises Shed when that would take too long for this priority."""
        while wait_s := self.wait_s:
            if priority is Priority.SPARE or wait_s > self._patience_s:
                raise Shed(f"not sent: the node asked to wait {wait_s:.1f} s")
            await asyncio.sleep(wait_s)
        if self.used < self.limit:
            self.used += 1
            return
        await self._queue_up(priority)

    def leave(self) -> None:
        """Free a slot."""
        self.used -= 1
        while self._queue and self.used < self.limit:
            _, _, waiting = heappop(self._queue)
            if not waiting.done():
                self.used += 1
                waiting.set_result(None)

    def throttle(self, retry_after_s: float | None) -> None:
        """The node asks for less: halve the slots, and wait as long as it says plus some jitter."""
        self.limit = max(self.limit // 2, 1)
        self._earned = 0
        self._own_wait_s = min(max(self._own_wait_s * 2, _FIRST_WAIT_S), _LONGEST_OWN_WAIT_S)
        wait_s = self._own_wait_s if retry_after_s is None else min(retry_after_s, _LONGEST_WAIT_S)
        until = self._clock.monotonic() + wait_s * (1 + _JITTER * self._jitter())
        self._open_at = max(self._open_at, until)

    def served(self) -> None:
        """A read succeeded: add a slot after as many successes as there are slots."""
        self._own_wait_s = 0.0
        if self.limit == MOST_AT_ONCE:
            return
        self._earned += 1
        if self._earned >= self.limit:
            self.limit, self._earned = self.limit + 1, 0

    async def _queue_up(self, priority: Priority) -> None:
        if len(self._queue) >= _LONGEST_QUEUE:
            self._shed(priority)
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._queue, (priority, next(self._turn), waiting))
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self.leave()  # the slot came after the cancellation
            raise

    def _shed(self, priority: Priority) -> None:
        """Drop the least important of the queue. Raises Shed when that is the new one."""
        worst = max(self._queue)
        if worst[0] <= priority:
            raise Shed("not sent: the read queue is full")
        self._queue.remove(worst)
        if not worst[2].done():
            worst[2].set_exception(Shed("not sent: the read queue is full of reads with higher priority"))
