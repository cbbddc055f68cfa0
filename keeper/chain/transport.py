"""How bytes travel to a node and back: HTTP with kept connections, WebSocket, IPC. Answers are matched by id only."""

import asyncio
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from json import JSONDecodeError, JSONDecoder
from typing import Protocol

import aiohttp
import websockets
from websockets.asyncio.client import ClientConnection, connect as connect_websocket

from keeper.chain.codec import Envelope, WireNotice, messages, shaped
from keeper.chain.errors import Disconnected, HttpStatus, Unreachable
from keeper.errors import Transient

LARGEST_MESSAGE = 256 * 1024 * 1024
_KEPT_S = 15.0  # shorter than servers keep idle connections, so that we do not write into a closed one
_CHUNK = 1024 * 1024
_LARGE_BODY = 1024 * 1024
_HTTP_OK = 200

# websockets logs handshakes, URL and all, at debug level.
_SILENT = logging.Logger("silent", level=logging.CRITICAL + 1)

Notify = Callable[[WireNotice], None]


class Transport(Protocol):
    """Carries one request (or batch) and brings its answers."""

    async def exchange(self, body: bytes, ids: Sequence[int]) -> dict[int, Envelope]:
        """Answers by id, one for each of `ids`. Raises Transient."""
        ...

    async def wait_closed(self) -> None:
        """Until a connection that carries notices ends; at once where there is none."""
        ...

    async def close(self) -> None: ...


def by_id(found: Sequence[Envelope], ids: Sequence[int]) -> dict[int, Envelope]:
    """Answers by id. Raises Transient when one is missing, comes twice, or was not asked for."""
    if len(found) == 1 and found[0].id is None and found[0].error:
        return dict.fromkeys(ids, found[0])  # refused as a whole
    answers = {envelope.id: envelope for envelope in found}
    if len(answers) != len(found) or answers.keys() != set(ids):
        raise Transient("unusable answer: its ids are not the request's")
    return {number: answers[number] for number in ids}


class HttpTransport:
    """POST over kept connections. One session for the life of the endpoint."""

    def __init__(self, url: str, connections: int) -> None:
        self._url = url
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, body: bytes, ids: Sequence[int]) -> dict[int, Envelope]:
        try:
            data = body if len(body) < _LARGE_BODY else BytesIO(body)  # as aiohttp wants it
            async with self._open().post(self._url, data=data, allow_redirects=False) as response:
                if (response.content_length or 0) > LARGEST_MESSAGE:
                    raise Transient("unusable answer: too large")
                content = await response.read()
                return self._answers(content, response.status, response.headers.get("Retry-After"), ids)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise _unreachable(getattr(error, "os_error", error)) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Disconnected(f"connection lost ({type(error).__name__})") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEPT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the endpoint keeps the time
                headers={"Content-Type": "application/json"},
            )
        return self._session

    @staticmethod
    def _answers(content: bytes, status: int, retry_after: str | None, ids: Sequence[int]) -> dict[int, Envelope]:
        """Some nodes give JSON-RPC errors with an HTTP error status: those are answers, too, unless it is a wait."""
        if status in HttpStatus.WAIT:
            raise _status_error(status, retry_after)
        try:
            found = messages(content)
        except ValueError as error:
            if status != _HTTP_OK:
                raise _status_error(status, retry_after) from None
            raise Transient(f"unusable answer: {error}") from None
        if status != _HTTP_OK and not all(envelope.error for envelope in found):
            raise _status_error(status, retry_after)
        return by_id(found, ids)

    async def wait_closed(self) -> None:
        return

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _unreachable(error: Exception) -> Unreachable:
    """In words that carry no URL."""
    strerror = error.strerror if isinstance(error, OSError) else None
    return Unreachable(f"cannot connect ({strerror or type(error).__name__})")


def _status_error(status: int, retry_after: str | None) -> HttpStatus:
    wait = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return HttpStatus(f"HTTP status {status}", status, wait)


class StreamTransport(ABC):
    """One connection that carries many requests at once and subscriptions' notices. Connects when first used."""

    def __init__(self, notify: Notify | None = None) -> None:
        self._notify = notify
        self._waiting: dict[int, asyncio.Future[Envelope]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._heard = 0  # messages so far
        self._mute = False  # a request ran out of time without a word from the other side: the line may be dead

    @abstractmethod
    async def _connect(self) -> None:
        """Raises Unreachable."""

    @abstractmethod
    async def _send(self, body: bytes) -> None:
        """Raises Disconnected."""

    @abstractmethod
    async def _receive(self) -> list[bytes | str]:
        """Whole JSON messages as they come. Raises Disconnected."""

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
                    future.exception()  # seen: another id's failure is raised already

    async def _ensure_connected(self) -> None:
        async with self._connecting:
            if self._reader is not None and not self._reader.done() and not self._mute:
                return
            await self._stop_reader()
            await self._connect()
            self._mute = False
            self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Hand every message to whoever waits for its id, until the connection ends."""
        reason: Transient = Disconnected("connection lost")
        try:
            while True:
                for text in await self._receive():
                    self._dispatch(text)
        except Transient as error:
            reason = error
        except ValueError:
            reason = Disconnected("connection lost (not JSON)")
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
        """Until the connection ends."""
        if self._reader is not None:
            await asyncio.wait([self._reader])

    async def close(self) -> None:
        await self._stop_reader()

    async def _stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            self._reader = None


class WebSocketTransport(StreamTransport):
    """JSON-RPC over one WebSocket."""

    def __init__(self, url: str, timeout_s: float, notify: Notify | None = None) -> None:
        super().__init__(notify)
        self._url = url
        self._timeout_s = timeout_s
        self._socket: ClientConnection | None = None

    async def _connect(self) -> None:
        try:
            self._socket = await connect_websocket(
                self._url,
                max_size=LARGEST_MESSAGE,
                compression=None,
                proxy=None,
                open_timeout=self._timeout_s,
                close_timeout=1,
                logger=_SILENT,
            )
        except (OSError, websockets.WebSocketException) as error:
            raise _unreachable(error) from None

    async def _send(self, body: bytes) -> None:
        if self._socket is None:
            raise Disconnected("connection lost")
        try:
            await self._socket.send(body.decode())
        except (websockets.ConnectionClosed, OSError):
            raise Disconnected("connection lost") from None

    async def _receive(self) -> list[bytes | str]:
        if self._socket is None:
            raise Disconnected("connection lost")
        try:
            answer = await self._socket.recv()
        except (websockets.ConnectionClosed, OSError):
            raise Disconnected("connection lost") from None
        _acknowledge(self._socket.transport)
        return [answer]

    async def _disconnect(self) -> None:
        if self._socket is not None:
            connection, self._socket = self._socket, None
            await connection.close()


def _acknowledge(transport: asyncio.Transport) -> None:
    """Acknowledge what was received at once, where the system can: a node that waits for that before it sends its next
    small answer (Nagle's algorithm) would wait for 40 ms. The system forgets the option, so it is set each time."""
    option = getattr(socket, "TCP_QUICKACK", None)
    connection = transport.get_extra_info("socket")
    if option is not None and connection is not None:
        with suppress(OSError):  # closed meanwhile
            connection.setsockopt(socket.IPPROTO_TCP, option, 1)


class IpcTransport(StreamTransport):
    """JSON-RPC over a Unix socket."""

    def __init__(self, path: str, notify: Notify | None = None) -> None:
        super().__init__(notify)
        self._path = path
        self._incoming: asyncio.StreamReader | None = None
        self._outgoing: asyncio.StreamWriter | None = None
        self._splitter = JsonSplitter()

    async def _connect(self) -> None:
        try:
            self._incoming, self._outgoing = await asyncio.open_unix_connection(self._path, limit=_CHUNK)
        except OSError as error:
            raise _unreachable(error) from None
        self._splitter = JsonSplitter()

    async def _send(self, body: bytes) -> None:
        if self._outgoing is None:
            raise Disconnected("connection lost")
        try:
            self._outgoing.write(body + b"\n")
            await self._outgoing.drain()
        except OSError:
            raise Disconnected("connection lost") from None

    async def _receive(self) -> list[bytes | str]:
        if self._incoming is None:
            raise Disconnected("connection lost")
        try:
            chunk = await self._incoming.read(_CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            raise Disconnected("connection lost")
        return list(self._splitter.feed(chunk))

    async def _disconnect(self) -> None:
        if self._outgoing is not None:
            outgoing, self._outgoing = self._outgoing, None
            outgoing.close()
            await outgoing.wait_closed()


class JsonSplitter:
    """Cuts a stream into JSON documents, with newlines between them or without."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._decoder = JSONDecoder()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The documents that are complete now. Raises Disconnected when too much comes without an end."""
        self._keep(chunk)
        if b"\n" not in chunk and not _may_end(chunk):
            return []
        *lines, rest = b"".join(self._parts).split(b"\n")
        found = [line for line in lines if line.strip()]
        self._parts, self._size = [], 0
        if _may_end(rest):
            whole, rest = self._whole(rest)
            found += whole
        self._keep(rest)
        return found

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > LARGEST_MESSAGE:
            raise Disconnected("connection lost (a message without an end)")

    def _whole(self, rest: bytes) -> tuple[list[bytes], bytes]:
        """Documents that no newline ends, and what is left."""
        found: list[bytes] = []
        with suppress(JSONDecodeError, UnicodeDecodeError, RecursionError):
            text = rest.decode()
            while text := text.lstrip():
                _, end = self._decoder.raw_decode(text)
                found.append(text[:end].encode())
                text = text[end:]
                rest = text.encode()
        return found, rest


def _may_end(chunk: bytes) -> bool:
    return chunk.rstrip()[-1:] in (b"}", b"]")
