"""Private relays: send transactions to builders and not to the public pool.

`eth_sendPrivateTransaction` and `eth_sendBundle` as Flashbots documents them, and the calls that cancel them. Each
request carries `X-Flashbots-Signature`, which relays require, by a random key that identifies nobody.
"""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.crypto import keccak

from keeper.chain.codec import messages, shaped
from keeper.chain.errors import RpcError, Unreachable, scrub
from keeper.chain.http_service import HttpService
from keeper.chain.node_errors import is_overload, judge
from keeper.chain.replies import NOT_SENT, RELAY_REFUSED, merged
from keeper.chain.transport.base import by_id
from keeper.errors import Transient
from keeper.model.chain import hexed
from keeper.model.intent import Route, SendResult, SendStatus
from keeper.redact import Redactor, secrets_in

_OK = 200


class Relay:
    """One relay. After a timeout it is not asked again for as long as the timeout."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._http = HttpService(url, timeout_s)
        self._hide = Redactor(secrets_in(url))
        self._pause_s = timeout_s
        self._silent_until = 0.0  # of the event loop's clock
        self._key = Account.create()
        self._ids = count(1)

    async def send(self, raw: bytes, route: Route, head: int, until: int) -> SendResult:
        """Send signed bytes for blocks up to `until`, or as a bundle for the block after `head`. Does not raise."""
        try:
            answer = await self._ask(*_offer(raw, route, head, until))
        except RpcError as error:
            return _refusal(error)
        except Unreachable as error:
            return SendResult(SendStatus.UNKNOWN, NOT_SENT, str(error))
        except Transient as error:
            return SendResult(SendStatus.UNKNOWN, "no_answer", str(error))
        if _acknowledges(answer, raw, route):
            return SendResult(SendStatus.ACCEPTED)
        return SendResult(SendStatus.UNKNOWN, "other_answer", f"{self._http.name} did not acknowledge the transaction")

    async def cancel(self, raw: bytes, route: Route) -> bool:
        """Cancel what was sent. True when the relay confirms; does not raise."""
        tx_hash = keccak(raw)
        if route is Route.BUNDLE:
            method, what = "eth_cancelBundle", {"replacementUuid": _uuid(tx_hash)}
        else:
            method, what = "eth_cancelPrivateTransaction", {"txHash": hexed(tx_hash)}
        try:
            return await self._ask(method, what) is True
        except Transient:
            return False

    async def close(self) -> None:
        await self._http.close()

    async def _ask(self, method: str, what: dict[str, Any]) -> Any:
        """The result of one request, never retried. Raises Transient."""
        now = asyncio.get_running_loop().time
        if now() < self._silent_until:
            raise Transient(f"{self._http.name}: not asked, as it did not answer a moment ago")
        started = now()
        number = next(self._ids)
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": [what]})
        try:
            answer = await self._http.post(body, headers={"X-Flashbots-Signature": self._signed(body)})
        except Transient:
            if now() - started >= self._pause_s:
                self._silent_until = now() + self._pause_s
            raise
        return self._result(answer.body, answer.status, number)

    def _result(self, body: bytes, status: int, number: int) -> Any:
        try:
            envelope = by_id(messages(body), [number])[number]
        except (ValueError, Transient):
            wrong = "unusable answer" if status == _OK else f"HTTP status {status}"
            raise Transient(f"{self._http.name}: {wrong}") from None
        if envelope.error is not None:
            raise RpcError(envelope.error.code, f"{self._http.name}: {scrub(envelope.error.message, self._hide)}")
        if status != _OK:
            raise Transient(f"{self._http.name}: HTTP status {status}")
        return shaped(envelope.result, object)

    def _signed(self, body: bytes) -> str:
        signature = self._key.sign_message(encode_defunct(text=hexed(keccak(body)))).signature
        return f"{self._key.address}:{hexed(bytes(signature))}"


class Relays:
    """All relays of KEEPER_RELAY_URLS, asked at once."""

    def __init__(self, urls: Sequence[str], timeout_s: float) -> None:
        self._relays = [Relay(url, timeout_s) for url in urls]

    async def send_private(self, raw: bytes, route: Route, head: int, until: int) -> SendResult:
        """As `Relay.send`; the replies are merged."""
        return merged(await asyncio.gather(*(relay.send(raw, route, head, until) for relay in self._relays)))

    async def cancel_private(self, raw: bytes, route: Route) -> bool:
        """True when every relay confirms the cancellation."""
        return all(await asyncio.gather(*(relay.cancel(raw, route) for relay in self._relays)))

    async def close(self) -> None:
        for relay in self._relays:
            await relay.close()


def _offer(raw: bytes, route: Route, head: int, until: int) -> tuple[str, dict[str, Any]]:
    """Method and parameter. A bundle is for one block, and is sent again for the next."""
    if route is Route.BUNDLE:
        bundle = {"txs": [hexed(raw)], "blockNumber": hex(head + 1), "replacementUuid": _uuid(keccak(raw))}
        return "eth_sendBundle", bundle
    preferences = {"fast": True}
    return "eth_sendPrivateTransaction", {"tx": hexed(raw), "maxBlockNumber": hex(until), "preferences": preferences}


def _acknowledges(answer: Any, raw: bytes, route: Route) -> bool:
    if route is Route.BUNDLE:
        return isinstance(answer, dict) and isinstance(answer.get("bundleHash"), str)
    return isinstance(answer, str) and answer.lower() == hexed(keccak(raw))


def _refusal(error: RpcError) -> SendResult:
    """Classify a relay's error: it has the transaction, it is overloaded, or it refuses."""
    if is_overload(error):
        return SendResult(SendStatus.UNKNOWN, "overloaded", str(error))
    verdict = judge(error)
    if verdict.status is SendStatus.ACCEPTED:
        return verdict
    return SendResult(SendStatus.REFUSED, RELAY_REFUSED, str(error))


def _uuid(tx_hash: bytes) -> str:
    """The id by which a bundle is replaced and cancelled, from the transaction's hash: a restart computes the same."""
    return str(UUID(bytes=tx_hash[:16], version=4))
