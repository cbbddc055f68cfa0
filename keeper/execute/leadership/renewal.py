"""Renews the right to write from a thread of its own, as long as the event loop runs."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from keeper.clock import uptime
from keeper.errors import LeaseLost
from keeper.execute.leadership.right import WriteRight

HUNG_S = 15.0  # an event loop that is blocked for so long counts as dead: another keeper takes over


class Renewal:
    """A block that takes long to plan does not lose the lease; a program that hangs does.

    `failed`: why the journal cannot be written, empty while it can.
    """

    def __init__(
        self, right: WriteRight, failed: Callable[[], str], interval_s: float, clock: Callable[[], float] = uptime
    ) -> None:
        self._right = right
        self._failed = failed
        self._interval_s = interval_s
        self._clock = clock
        self._alive_at = clock()
        self._stop = threading.Event()

    async def run(self) -> str:
        """Renew until the right is lost or the journal cannot be written; returns why."""
        pool = ThreadPoolExecutor(1, "lease")
        renewing = asyncio.get_running_loop().run_in_executor(pool, self.renew)
        try:
            while not renewing.done():
                self._alive_at = self._clock()
                await asyncio.wait({renewing}, timeout=self._interval_s)
            return renewing.result()
        finally:
            self._stop.set()
            pool.shutdown(wait=False)

    def renew(self) -> str:
        """The loop of the thread. Returns why it ended, empty when it was stopped."""
        while not self._stop.is_set():
            if failure := self._failed():
                return failure
            if self._clock() - self._alive_at > HUNG_S:
                return f"the event loop was blocked for {HUNG_S:.0f} s"
            try:
                self._right.renew()
            except LeaseLost as error:
                return str(error)
            self._stop.wait(self._interval_s)
        return ""
