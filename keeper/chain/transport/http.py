"""JSON-RPC over HTTP."""

from collections.abc import Sequence
from io import BytesIO

import aiohttp

from keeper.chain.codec import Envelope, messages
from keeper.chain.errors import Disconnected, HttpStatus
from keeper.chain.transport.base import LARGEST_MESSAGE, by_id, unreachable
from keeper.errors import Transient

_KEPT_S = 15.0  # shorter than servers keep idle connections, so that no request goes to a closed one
_LARGE_BODY = 1024 * 1024
_HTTP_OK = 200


class HttpTransport:
    """POST over keep-alive connections. One session for the life of the endpoint."""

    def __init__(self, url: str, connections: int) -> None:
        self._url = url
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, body: bytes, ids: Sequence[int]) -> dict[int, Envelope]:
        try:
            data = body if len(body) < _LARGE_BODY else BytesIO(body)  # aiohttp warns about large bytes
            async with self._open().post(self._url, data=data, allow_redirects=False) as response:
                if (response.content_length or 0) > LARGEST_MESSAGE:
                    raise Transient("unusable answer: too large")
                content = await response.read()
                return self._answers(content, response.status, response.headers.get("Retry-After"), ids)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise unreachable(getattr(error, "os_error", error)) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Disconnected(f"connection lost ({type(error).__name__})") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEPT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the endpoint has the timeout
                headers={"Content-Type": "application/json"},
            )
        return self._session

    @staticmethod
    def _answers(content: bytes, status: int, retry_after: str | None, ids: Sequence[int]) -> dict[int, Envelope]:
        """Some nodes return JSON-RPC errors with an HTTP error status: these count as answers, except 429 and 503."""
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


def _status_error(status: int, retry_after: str | None) -> HttpStatus:
    wait = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return HttpStatus(f"HTTP status {status}", status, wait)
