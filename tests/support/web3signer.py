"""A remote signer that really signs, with Web3Signer's `eth1` API, and does to some requests what signers do.

async with Web3Signer(dev_key(1)) as signer:
    signer.mode = "high_s"
"""

import asyncio

from aiohttp import web
from coincurve import PrivateKey
from eth_utils.crypto import keccak

from keeper.execute.signing.encoding import ORDER
from tests.support.service import Service

STRANGER = PrivateKey(b"\x07" * 32)
ANSWERS = {
    "garbage": web.Response,
    "html": lambda: web.Response(text="<html>502</html>", content_type="text/html"),
    "short": lambda: web.Response(text="0x" + "11" * 64),
    "zero": lambda: web.Response(text="0x" + "00" * 65),
    "500": lambda: web.Response(status=500),
    "404": lambda: web.Response(status=404),
    "huge": lambda: web.Response(body=b"1" * 1_000_000),
    "binary": lambda: web.Response(body=b"\xff\xfe" * 70),
}


class Web3Signer(Service):
    """`mode`: right, wrong_key, high_s, other_parity, hang, or one of ANSWERS. `signed`: what it was asked to sign."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = PrivateKey(key)
        self.mode = "right"
        self.json = False  # newer versions answer in JSON
        self.signed: list[bytes] = []

    @property
    def address(self) -> bytes:
        return keccak(self._key.public_key.format(compressed=False)[1:])[-20:]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = "0x" + self._key.public_key.format(compressed=False)[1:].hex()
        if request.path.endswith("/api/v1/eth1/publicKeys"):
            return web.json_response(["0x" + "ab" * 64, name])
        if not request.path.endswith(f"/api/v1/eth1/sign/{name}"):
            return web.Response(status=404)
        payload = bytes.fromhex((await request.json())["data"][2:])
        self.signed.append(payload)
        if self.mode == "hang":
            await asyncio.Event().wait()
        if self.mode in ANSWERS:
            return ANSWERS[self.mode]()
        signature = "0x" + self._sign(payload).hex()
        return web.json_response(signature) if self.json else web.Response(text=signature)

    def _sign(self, payload: bytes) -> bytes:
        key = STRANGER if self.mode == "wrong_key" else self._key
        found = key.sign_recoverable(keccak(payload), hasher=None)
        r, s, parity = found[:32], found[32:64], found[64]
        if self.mode == "high_s":  # the other of the two valid signatures
            s, parity = (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big"), 1 - parity
        if self.mode == "other_parity":
            parity = 1 - parity
        return r + s + bytes([27 + parity])
