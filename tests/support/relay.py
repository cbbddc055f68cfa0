"""A private relay: takes offers, and does with them what relays do.

async with RelayStub() as relay:
    relay.mode = "keep"           # takes everything, never includes
    relay.hand_over(anvil)        # now it does
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.crypto import keccak

from keeper.chain.errors import RpcError
from tests.support.anvil import Anvil
from tests.support.service import Service

GARBAGE = (b"", b"\xff\xfe", b"<html>502</html>", b"[]", b"null", b'{"id": 99, "result": "0x00"}', b'{"jsonrpc": "2.0"')


@dataclass(frozen=True)
class Offer:
    """One request as it came."""

    method: str
    what: Any
    authentic: bool  # X-Flashbots-Signature is of this body


class RelayStub(Service):
    """`mode`: keep, include (at once, in `builder`), refuse, hang, garbage, busy. Notes every request."""

    def __init__(self, builder: Anvil | None = None) -> None:
        super().__init__()
        self.mode = "keep"
        self.builder = builder
        self.offers: list[Offer] = []
        self.forgotten: list[Any] = []
        self._garbage = 0

    @property
    def raws(self) -> list[bytes]:
        """The signed bytes that it was shown."""
        return [
            bytes.fromhex(raw[2:])
            for offer in self.offers
            for raw in (offer.what.get("txs") or [offer.what.get("tx")])
            if raw
        ]

    def named(self, method: str) -> list[Offer]:
        return [offer for offer in self.offers if offer.method == method]

    def hand_over(self, anvil: Anvil) -> None:
        """What it holds gets to whoever builds the next block."""
        for raw in dict.fromkeys(self.raws):
            _hand(anvil, raw)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        message = json.loads(body)
        [what] = message["params"]
        self.offers.append(Offer(message["method"], what, _authentic(body, request.headers)))
        if self.mode == "hang":
            await asyncio.Event().wait()
        if self.mode == "garbage":
            self._garbage += 1
            return web.Response(body=GARBAGE[self._garbage % len(GARBAGE)])
        if self.mode == "busy":
            return web.Response(status=429)
        if self.mode == "refuse":
            error = {"code": -32000, "message": "nonce too low, go away"}
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error})
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": self._take(message["method"], what)})

    def _take(self, method: str, what: dict[str, Any]) -> Any:
        if "cancel" in method.lower():
            self.forgotten.append(what)
            return True
        raw = bytes.fromhex((what.get("tx") or what["txs"][0])[2:])
        if self.mode == "include" and self.builder is not None:
            _hand(self.builder, raw)
        tx_hash = "0x" + keccak(raw).hex()
        return tx_hash if method == "eth_sendPrivateTransaction" else {"bundleHash": tx_hash}


def _hand(anvil: Anvil, raw: bytes) -> None:
    with suppress(RpcError):  # it has it, or the nonce is used
        anvil.rpc("eth_sendRawTransaction", "0x" + raw.hex())


def _authentic(body: bytes, headers: Any) -> bool:
    address, _, signature = headers.get("X-Flashbots-Signature", "").partition(":")
    message = encode_defunct(text="0x" + keccak(body).hex())
    return bool(signature) and Account.recover_message(message, signature=signature) == address
