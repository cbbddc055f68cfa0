"""The newest head, pushed by a subscription or polled. A reader gets the latest head, never a backlog.

A subscription has a connection of its own. When no head arrives for two block times, the head is polled; when polling
finds blocks that the subscription missed, the connection is replaced.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from keeper.chain.codec import WireBlock, WireNotice, block_of, shaped
from keeper.chain.endpoint import Endpoint
from keeper.chain.pool import NodePool
from keeper.chain.watch import Watch
from keeper.clock import Clock, SystemClock
from keeper.errors import Transient
from keeper.model.chain import BlockRef
from keeper.model.events import HEAD_STALLED, NODE_DOWN, Emit, Event

_REMEMBERED = 128
_SILENT_BLOCKS = 2
_STALLED_BLOCKS = 5
_STALLED_S = 30.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


class Pace:
    """The block time, from timestamps of blocks, and the timeouts that follow from it. Pure."""

    def __init__(self, poll_interval_s: float) -> None:
        self._poll_interval_s = poll_interval_s
        self._stamps: deque[tuple[int, int]] = deque(maxlen=16)

    def note(self, block: BlockRef) -> None:
        if self._stamps and block.number <= self._stamps[-1][0]:
            self._stamps.clear()  # a reorg
        self._stamps.append((block.number, block.timestamp))

    @property
    def block_time_s(self) -> float:
        """Mean over the last blocks, at least the poll interval; that alone before two blocks are known."""
        if len(self._stamps) < 2:
            return self._poll_interval_s
        (first, start), (last, end) = self._stamps[0], self._stamps[-1]
        return max((end - start) / (last - first), self._poll_interval_s)

    @property
    def silence_s(self) -> float:
        """Seconds without a head after which the subscription is backed up by polling."""
        return _SILENT_BLOCKS * self.block_time_s

    @property
    def stalled_s(self) -> float:
        """Seconds without a new block after which `head.stalled` is emitted."""
        return max(_STALLED_BLOCKS * self.block_time_s, _STALLED_S)


class Slot:
    """Holds one head, the latest. A head that was seen before is not new."""

    def __init__(self) -> None:
        self._seen: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._latest: BlockRef | None = None
        self._filled = asyncio.Event()

    def offer(self, block: BlockRef) -> bool:
        """Store a head. Returns whether it is new."""
        if block.hash in self._seen:
            return False
        self._seen.append(block.hash)
        self._latest = block
        self._filled.set()
        return True

    def put_back(self, block: BlockRef) -> None:
        """Store a head again that was taken but could not be handled, unless there is a newer one."""
        if self._latest is None and self._seen and self._seen[-1] == block.hash:
            self._latest = block
            self._filled.set()

    def wake(self) -> None:
        self._filled.set()

    async def take(self) -> BlockRef | None:
        """Wait for a head that was not taken yet; None when `wake` was called without one."""
        await self._filled.wait()
        self._filled.clear()
        latest, self._latest = self._latest, None
        return latest


class Heads:
    """`async for block in heads` gives the newest block each time and skips those in between. Close it after use.

    streams: URLs of nodes with subscriptions, by preference; without any the pool is polled.
    """

    def __init__(
        self,
        pool: NodePool,
        streams: Sequence[str],
        poll_interval_s: float,
        timeout_s: float,
        emit: Emit,
        clock: Clock | None = None,
    ) -> None:
        self._pool = pool
        self._streams = tuple(streams)
        self._poll_interval_s = poll_interval_s
        self._timeout_s = timeout_s
        self._emit = emit
        self._clock = clock or SystemClock()
        self._watch = Watch(pool, emit)
        self._watched = -1  # the newest head when the nodes were last compared
        self._pace = Pace(poll_interval_s)
        self._slot = Slot()
        self._pushed_at = float("-inf")  # when the subscription last sent a head
        self._moved_at = 0.0  # when a new head last arrived
        self._stalled = False
        self._number = -1  # of the newest head
        self._told = -1  # the newest head when the subscription started or last sent one
        self._owed = False  # the chain is ahead of the subscription
        self._missed = asyncio.Event()
        self._tried, self._tries = b"", 0  # the head that is being retried, and how often
        self._returning: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BlockRef:
        if not self._tasks:
            self._start()
        while True:
            if (block := await self._slot.take()) is not None:
                return block
            for task in self._tasks:
                if task.cancelled():
                    raise StopAsyncIteration
                if task.done():
                    task.result()  # raises what ended it

    def again(self, block: BlockRef) -> None:
        """Give a head again that could not be handled, after a pause that grows, unless a newer one arrives first."""
        self._tries = self._tries + 1 if block.hash == self._tried else 0
        self._tried = block.hash
        pause_s = min(self._poll_interval_s * 2**self._tries, _LONGEST_PAUSE_S)
        self._returning = asyncio.get_running_loop().call_later(pause_s, self._slot.put_back, block)

    def once_more(self, block: BlockRef) -> None:
        """Give a head once more, now, unless a newer one has come: what was decided on it is out of date."""
        self._slot.put_back(block)

    async def close(self) -> None:
        """End the tasks and the connection; a loop over the heads ends."""
        if self._returning:
            self._returning.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._watch.close()
        self._slot.wake()

    def _start(self) -> None:
        self._moved_at = self._clock.monotonic()
        self._tasks = [asyncio.create_task(self._poll())]
        if self._streams:
            self._tasks.append(asyncio.create_task(self._subscribe()))
        for task in self._tasks:
            task.add_done_callback(lambda _: self._slot.wake())

    def _offer(self, block: BlockRef) -> None:
        if self._slot.offer(block):
            self._number = block.number
            self._pace.note(block)
            self._moved_at = self._clock.monotonic()
            if self._stalled:
                self._stalled = False
                self._pool.stalled("")

    # Polling: always, or while no head arrives by subscription.

    async def _poll(self) -> None:
        await self._look()
        while True:
            await asyncio.sleep(self._poll_interval_s)
            if self._clock.monotonic() - self._pushed_at < self._pace.silence_s:
                if len(self._pool.endpoints) > 1 and self._watched != self._number:
                    await self._look()
                continue
            if self._owed:
                self._missed.set()
            await self._look()
            self._owed = self._number >= self._told + _SILENT_BLOCKS
            self._warn_when_stalled()

    async def _look(self) -> None:
        """Compare the nodes and take the newest head; with several nodes never one below the known head."""
        self._watched = self._number
        with suppress(Transient):  # the pool has reported which node is down
            block = await self._watch.newest()
            if len(self._pool.endpoints) == 1 or block.number >= self._number:
                self._offer(block)

    def _warn_when_stalled(self) -> None:
        age_s = self._clock.monotonic() - self._moved_at
        if self._stalled or age_s < self._pace.stalled_s:
            return
        self._stalled = True
        self._pool.stalled(f"no new block for {age_s:.0f} s")
        endpoint = self._pool.in_order()[0].name
        fields = {"age_s": round(age_s, 1), "endpoint": endpoint}
        self._emit(Event(HEAD_STALLED, f"no new block for {age_s:.0f} s", fields=fields))

    # The subscription: restarted for ever, on one node after another.

    async def _subscribe(self) -> None:
        pause_s = 0.0
        turn = 0
        while True:
            before = self._pushed_at
            name, problem = await self._listen(self._streams[turn % len(self._streams)])
            if self._pushed_at > before or not turn:  # reported once, until a head arrives again
                fields = {"endpoint": name, "error": problem}
                self._emit(
                    Event(
                        NODE_DOWN,
                        f"newHeads subscription at {name} ended: {problem.removeprefix(f'{name}: ')}",
                        fields=fields,
                    )
                )
                pause_s = 0.0
            pause_s = min(max(pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            turn += 1
            await asyncio.sleep(pause_s)

    async def _listen(self, url: str) -> tuple[str, str]:
        """Run one subscription until it ends. Returns the endpoint's name and why it ended."""
        endpoint = Endpoint(url, self._timeout_s, self._pool.requests, notify=self._take)
        try:
            await endpoint.request_once(str, "eth_subscribe", "newHeads")
            await self._look()  # blocks before the subscription started
            self._heard()
            self._missed.clear()
            ends = [asyncio.create_task(endpoint.wait_closed()), asyncio.create_task(self._missed.wait())]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in ends:
                    task.cancel()
                await asyncio.wait(ends)
            return endpoint.name, "it missed blocks" if self._missed.is_set() else "connection lost"
        except Transient as error:
            return endpoint.name, str(error)
        finally:
            await endpoint.close()

    def _take(self, notice: WireNotice) -> None:
        """Take a pushed head. Raises Transient, which ends the connection, for anything else."""
        self._offer(block_of(shaped(notice.result, WireBlock)))
        self._heard()
        self._pushed_at = self._clock.monotonic()

    def _heard(self) -> None:
        self._told = self._number
        self._owed = False
