"""JSON-RPC over a Unix socket."""

import asyncio
from contextlib import suppress
from json import JSONDecodeError, JSONDecoder

from keeper.chain.errors import Disconnected
from keeper.chain.transport.base import LARGEST_MESSAGE, Notify, unreachable
from keeper.chain.transport.stream import StreamTransport

_CHUNK = 1024 * 1024


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
            raise unreachable(error) from None
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
    """Splits a stream into JSON documents, with or without newlines between them."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._decoder = JSONDecoder()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The documents that are complete now. Raises Disconnected when one is too large."""
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
            raise Disconnected("connection closed (a message above 256 MiB)")

    def _whole(self, rest: bytes) -> tuple[list[bytes], bytes]:
        """Documents without a newline after them, and the rest."""
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
