"""HTTP to signers and relays, bounded in time and size. No error text contains a URL's path or credentials."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from keeper.chain.errors import Disconnected, Unreachable, redact
from keeper.errors import Transient

LARGEST_ANSWER = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status."""

    status: int
    body: bytes


class HttpService:
    """One base URL and its kept connections. `name` is safe to log. Close it after use."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.name = redact(url)
        self._url = url
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: str = "") -> Answer:
        """Raises Transient."""
        return await self._ask("GET", path, None, {})

    async def post(self, body: bytes, path: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Send JSON, never retried. Raises Transient: Unreachable when it was not sent."""
        return await self._ask("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(method, path, body, headers)
        except TimeoutError:
            raise Transient(f"{self.name}: no answer within {self._timeout_s:g} s") from None
        except (httpx.ConnectError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Unreachable(f"{self.name}: cannot connect ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise Disconnected(f"{self.name}: connection lost ({type(error).__name__})") from None

    async def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        base = httpx.URL(self._url)
        url = base.copy_with(path=base.path.rstrip("/") + path) if path else base
        content = bytearray()
        async with self._open().stream(method, url, content=body, headers=headers) as response:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise Transient(f"{self.name}: unusable answer: too large")
            return Answer(response.status_code, bytes(content))

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=None,  # noqa: S113 - the time limit is ours
                trust_env=False,
                verify=_trust(self._url),
            )
        return self._client


def _trust(url: str) -> ssl.SSLContext:
    """The machine's certificates and those of SSL_CERT_FILE; none for plain HTTP, which saves loading them."""
    return ssl.create_default_context() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
