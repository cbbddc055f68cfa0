"""Checks the right to send just before each send, to nodes and to relays: without it nothing is sent."""

from collections.abc import Mapping
from typing import Any

from keeper.chain.ports import ChainSender, PrivateSender
from keeper.execute.leadership.right import WriteRight
from keeper.model.chain import Receipt
from keeper.model.intent import Route, SendResult, SendStatus


def refuse_without(right: WriteRight) -> SendResult | None:
    """The result of a send without the right; None while the right is valid. UNKNOWN, so that the nonce is kept."""
    if right.is_valid():
        return None
    return SendResult(SendStatus.UNKNOWN, "no_lease", "not sent: this keeper's lease expired or another keeper has it")


class FencedSender:
    """Sends to nodes only while the right is valid."""

    def __init__(self, inner: ChainSender, right: WriteRight) -> None:
        self._inner = inner
        self._right = right

    async def send_raw(self, raw: bytes) -> SendResult:
        return refuse_without(self._right) or await self._inner.send_raw(raw)

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        return await self._inner.receipt(tx_hash)

    async def transaction(self, tx_hash: bytes) -> Mapping[str, Any] | None:
        return await self._inner.transaction(tx_hash)

    async def nonce(self, account: bytes) -> int:
        return await self._inner.nonce(account)


class FencedRelays:
    """Sends to relays only while the right is valid."""

    def __init__(self, inner: PrivateSender, right: WriteRight) -> None:
        self._inner = inner
        self._right = right

    async def send_private(self, raw: bytes, route: Route, head: int, until: int) -> SendResult:
        return refuse_without(self._right) or await self._inner.send_private(raw, route, head, until)

    async def cancel_private(self, raw: bytes, route: Route) -> bool:
        return await self._inner.cancel_private(raw, route)

    async def close(self) -> None:
        await self._inner.close()
