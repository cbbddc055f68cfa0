"""JSON-RPC over a WebSocket."""

import asyncio
import logging
import socket
from contextlib import suppress

import websockets
from websockets.asyncio.client import ClientConnection, connect as connect_websocket

from keeper.chain.errors import Disconnected
from keeper.chain.transport.base import LARGEST_MESSAGE, Notify, unreachable
from keeper.chain.transport.stream import StreamTransport

# websockets logs handshakes, URL and all, at debug level.
_SILENT = logging.Logger("silent", level=logging.CRITICAL + 1)


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
            raise unreachable(error) from None

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
    """Send the TCP acknowledgement at once, where the system can.

    A node with Nagle's algorithm waits for it before its next small answer, 40 ms with delayed acknowledgements. The
    kernel resets the option, so it is set each time.
    """
    option = getattr(socket, "TCP_QUICKACK", None)
    connection = transport.get_extra_info("socket")
    if option is not None and connection is not None:
        with suppress(OSError):  # closed meanwhile
            connection.setsockopt(socket.IPPROTO_TCP, option, 1)
