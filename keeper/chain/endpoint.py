"""One node: JSON-RPC requests with typed answers, a time limit, a limit of how many are under way, and a count."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any, TypeVar

import msgspec

from keeper.chain.abilities import Abilities
from keeper.chain.codec import Envelope, shaped
from keeper.chain.concurrency import MOST_AT_ONCE, ConcurrencyLimit, Priority, Shed, asks_to_wait
from keeper.chain.errors import Disconnected, HttpStatus, RpcError, redact, scrub
from keeper.chain.hedge import Latencies
from keeper.chain.node_state import NodeHealth, Random
from keeper.chain.transport.base import Notify, Transport
from keeper.chain.transport.http import HttpTransport
from keeper.chain.transport.ipc import IpcTransport
from keeper.chain.transport.websocket import WebSocketTransport
from keeper.clock import Clock, SystemClock
from keeper.errors import Transient
from keeper.redact import Redactor, secrets_in

T = TypeVar("T")
Request = tuple[str, Sequence[Any]]

# Reads for the newest block go before all others.
_OF_THE_BLOCK = frozenset(
    {
        "eth_getBlockByNumber",
        "eth_getBlockByHash",
        "eth_getLogs",
        "eth_getBlockReceipts",
        "eth_call",
        "eth_getBalance",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_getTransactionByHash",
    }
)


class Endpoint:
    """A node at one URL or IPC path. `name` is safe to log. Every method raises Transient."""

    def __init__(
        self,
        url: str,
        timeout_s: float,
        requests: Counter[str] | None = None,
        notify: Notify | None = None,
        clock: Clock | None = None,
        jitter: Random = random.random,
    ) -> None:
        self.name = redact(url)
        self.url = url
        self.abilities = Abilities()
        self.health = NodeHealth(jitter)
        self.latencies = Latencies()
        self.concurrency = ConcurrencyLimit(clock or SystemClock(), timeout_s, jitter)
        self._hide = Redactor(secrets_in(url))
        self._timeout_s = timeout_s
        self._requests = requests if requests is not None else Counter()
        self._ids = count(1)
        self._encode = msgspec.json.Encoder().encode
        self._transport = _transport(url, timeout_s, notify)

    async def request(self, kind: type[T], method: str, *params: Any) -> T:
        """The result of one request as `kind`. Retried once after a lost connection, so for reads only."""
        try:
            return await self._request(kind, method, params)
        except Disconnected:  # a kept connection that the node had closed
            return await self._request(kind, method, params)

    async def request_once(self, kind: type[T], method: str, *params: Any) -> T:
        """As `request`, but never retried, and ahead of the queue of reads."""
        (envelope,) = await self._exchange([(method, params)])
        return self._result(envelope, kind, method)

    async def batch(
        self, requests: Sequence[Request], priority: Priority = Priority.WORK
    ) -> list[msgspec.Raw | RpcError]:
        """Send a JSON-RPC batch; answers are in the order of the requests, matched by id. For reads only."""
        envelopes = await self._read(requests, priority, batch=True)
        return [
            self._error(envelope, method) or envelope.result
            for envelope, (method, _) in zip(envelopes, requests, strict=True)
        ]

    async def wait_closed(self) -> None:
        """Until a connection that carries subscriptions ends."""
        await self._transport.wait_closed()

    async def close(self) -> None:
        await self._transport.close()

    async def _request(self, kind: type[T], method: str, params: Sequence[Any]) -> T:
        priority = Priority.BLOCK if method in _OF_THE_BLOCK else Priority.WORK
        (envelope,) = await self._read([(method, params)], priority)
        return self._result(envelope, kind, method)

    async def _read(self, requests: Sequence[Request], priority: Priority, batch: bool = False) -> list[Envelope]:
        """An exchange once a slot is free."""
        try:
            await self.concurrency.enter(priority)
        except Shed as error:
            raise Shed(f"{self.name}: {requests[0][0]}: {error}") from None
        try:
            return await self._exchange(requests, batch)
        finally:
            self.concurrency.leave()

    async def _exchange(self, requests: Sequence[Request], batch: bool = False) -> list[Envelope]:
        ids = [next(self._ids) for _ in requests]
        bodies = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in zip(ids, requests, strict=True)
        ]
        self._requests.update(method for method, _ in requests)
        try:
            async with asyncio.timeout(self._timeout_s):
                answers = await self._transport.exchange(self._encode(bodies if batch else bodies[0]), ids)
        except TimeoutError:
            raise Transient(f"{self.name}: no answer to {requests[0][0]} within {self._timeout_s:g} s") from None
        except Transient as error:
            self._slow_down_if_asked(error)
            error.args = (f"{self.name}: {scrub(str(error), self._hide)}",)
            raise
        self.concurrency.served()
        return [answers[number] for number in ids]

    def _slow_down_if_asked(self, error: Transient) -> None:
        """Lower the concurrency limit when the node reports too many requests."""
        if asks_to_wait(error):
            self.concurrency.throttle(error.retry_after_s if isinstance(error, HttpStatus) else None)

    def _result(self, envelope: Envelope, kind: type[T], method: str) -> T:
        if error := self._error(envelope, method):
            raise error
        try:
            return shaped(envelope.result, kind)
        except Transient as error:
            raise Transient(f"{self.name}: {method}: {error}") from None

    def _error(self, envelope: Envelope, method: str) -> RpcError | None:
        found = envelope.error
        if found is None:
            return None
        error = RpcError(found.code, scrub(found.message, self._hide), found.data, method)
        self._slow_down_if_asked(error)
        return error


def served(answer: msgspec.Raw | RpcError, kind: type[T]) -> T:
    """One answer of a batch as `kind`. Raises Transient."""
    if isinstance(answer, RpcError):
        raise answer
    return shaped(answer, kind)


def _transport(url: str, timeout_s: float, notify: Notify | None) -> Transport:
    if url.startswith(("http://", "https://")):
        return HttpTransport(url, MOST_AT_ONCE * 2)  # half for reads, half for sends
    if url.startswith(("ws://", "wss://")):
        return WebSocketTransport(url, timeout_s, notify)
    return IpcTransport(url, notify)


def pushes(url: str) -> bool:
    """Whether the endpoint supports subscriptions."""
    return not url.startswith(("http://", "https://"))
