"""How many requests one node gets at once: half after each "too many requests", one more after enough successes.

Reads wait in line by priority; when the line is long, the least important leave it. Sends do not stand in it.
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
_LONGEST_LINE = 256
_FIRST_WAIT_S = 0.5
_LONGEST_OWN_WAIT_S = 5.0
_LONGEST_WAIT_S = 600.0
_JITTER = 0.25

_THROTTLED = re.compile(r"rate.?limit|too many requests|requests? limit|request rate|compute units|credits|daily limit")
_TOO_MUCH_ASKED = re.compile(r"result|range|response size|logs? ")
_LIMIT_EXCEEDED, _TOO_MANY = -32005, 429


class Priority(IntEnum):
    """Who is served first when a node is busy."""

    BLOCK = 0  # what the newest block needs
    WORK = 1
    SPARE = 2  # can be left out


class Shed(Unserved):
    """A read was not asked: the node wants to be left alone, or more important ones wait. It says nothing of it."""


def asks_to_wait(error: Transient) -> bool:
    """Whether a node's error says that it is asked too much too fast, rather than for too much at once."""
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
        self._line: list[tuple[Priority, int, asyncio.Future[None]]] = []
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
        """Seconds that the node wants to be left alone for."""
        return max(self._open_at - self._clock.monotonic(), 0.0)

    async def enter(self, priority: Priority) -> None:
        """Wait for a slot. Raises Shed when that would take too long for what it is."""
        while wait_s := self.wait_s:
            if priority is Priority.SPARE or wait_s > self._patience_s:
                raise Shed(f"asked to wait {wait_s:.1f} s")
            await asyncio.sleep(wait_s)
        if self.used < self.limit:
            self.used += 1
            return
        await self._stand(priority)

    def leave(self) -> None:
        """A slot is free."""
        self.used -= 1
        while self._line and self.used < self.limit:
            _, _, waiting = heappop(self._line)
            if not waiting.done():
                self.used += 1
                waiting.set_result(None)

    def throttle(self, retry_after_s: float | None) -> None:
        """The node asks for less: halve the slots, and wait as long as it says, and a little more."""
        self.limit = max(self.limit // 2, 1)
        self._earned = 0
        self._own_wait_s = min(max(self._own_wait_s * 2, _FIRST_WAIT_S), _LONGEST_OWN_WAIT_S)
        wait_s = self._own_wait_s if retry_after_s is None else min(retry_after_s, _LONGEST_WAIT_S)
        until = self._clock.monotonic() + wait_s * (1 + _JITTER * self._jitter())
        self._open_at = max(self._open_at, until)

    def served(self) -> None:
        """A read went well: one more slot after as many as there are."""
        self._own_wait_s = 0.0
        if self.limit == MOST_AT_ONCE:
            return
        self._earned += 1
        if self._earned >= self.limit:
            self.limit, self._earned = self.limit + 1, 0

    async def _stand(self, priority: Priority) -> None:
        if len(self._line) >= _LONGEST_LINE:
            self._shed(priority)
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._line, (priority, next(self._turn), waiting))
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self.leave()  # the slot came too late
            raise

    def _shed(self, priority: Priority) -> None:
        """Send away the least important of the line. Raises Shed when that is the newcomer."""
        worst = max(self._line)
        if worst[0] <= priority:
            raise Shed("too many requests are waiting already")
        self._line.remove(worst)
        if not worst[2].done():
            worst[2].set_exception(Shed("too many more important requests are waiting"))
