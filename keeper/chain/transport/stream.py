"""JSON-RPC over one connection that stays open."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress

from keeper.chain.codec import Envelope, WireNotice, messages, shaped
from keeper.chain.errors import Disconnected
from keeper.chain.transport.base import Notify
from keeper.errors import Transient


class StreamTransport(ABC):
    """One connection for concurrent requests and subscriptions. Connects when first used."""

    def __init__(self, notify: Notify | None = None) -> None:
        self._notify = notify
        self._waiting: dict[int, asyncio.Future[Envelope]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._heard = 0  # messages received so far
        self._mute = False  # a request timed out and nothing was received meanwhile: the connection may be dead

    @abstractmethod
    async def _connect(self) -> None:
        """Raises Unreachable."""

    @abstractmethod
    async def _send(self, body: bytes) -> None:
        """Raises Disconnected."""

    @abstractmethod
    async def _receive(self) -> list[bytes | str]:
        """The next whole JSON messages. Raises Disconnected."""

    @abstractmethod
    async def _disconnect(self) -> None: ...

    async def exchange(self, body: bytes, ids: Sequence[int]) -> dict[int, Envelope]:
        await self._ensure_connected()
        loop = asyncio.get_running_loop()
        waiting = {number: loop.create_future() for number in ids}
        self._waiting.update(waiting)
        heard = self._heard
        try:
            await self._send(body)
            await asyncio.wait(waiting.values())
            return {number: future.result() for number, future in waiting.items()}
        except asyncio.CancelledError:
            self._mute = self._heard == heard
            raise
        finally:
            for number, future in waiting.items():
                self._waiting.pop(number, None)
                if not future.cancel() and not future.cancelled():
                    future.exception()  # retrieved: the failure of another id is raised already

    async def _ensure_connected(self) -> None:
        async with self._connecting:
            if self._reader is not None and not self._reader.done() and not self._mute:
                return
            await self._stop_reader()
            await self._connect()
            self._mute = False
            self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Pass each message to the request that waits for its id, until the connection ends."""
        reason: Transient = Disconnected("connection lost")
        try:
            while True:
                for text in await self._receive():
                    self._dispatch(text)
        except Transient as error:
            reason = error
        except ValueError:
            reason = Disconnected("connection closed (a message that is not JSON)")
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(reason)
            with suppress(OSError):
                await self._disconnect()

    def _dispatch(self, text: bytes | str) -> None:
        self._heard += 1
        for envelope in messages(text):
            if isinstance(envelope.id, int):
                future = self._waiting.get(envelope.id)
                if future is not None and not future.done():
                    future.set_result(envelope)
            elif envelope.method == "eth_subscription" and self._notify is not None:
                self._notify(shaped(envelope.params, WireNotice))

    async def wait_closed(self) -> None:
        """Wait until the connection ends."""
        if self._reader is not None:
            await asyncio.wait([self._reader])

    async def close(self) -> None:
        await self._stop_reader()

    async def _stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            self._reader = None
