"""AWS KMS with a real key: as an object with boto3's two calls, and as the HTTP endpoint behind boto3 itself."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from coincurve import PrivateKey
from eth_utils.crypto import keccak

from keeper.execute.signing.encoding import ORDER
from tests.support.service import Service

SPKI = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")


class KmsError(Exception):
    """What a client of AWS raises, in its shape."""

    def __init__(self, code: str) -> None:
        super().__init__(f"{code}: arn:aws:kms:eu-central-1:123456789012:key/secret-arn")
        self.response = {"Error": {"Code": code}}


class KmsKey:
    """Signs digests as KMS does: DER, and a high s as often as a low one. `spoil` changes what it answers."""

    def __init__(self, key: bytes) -> None:
        self._key = PrivateKey(key)
        self.high_s = False
        self.stranger = False
        self.error = ""
        self.spoil: Callable[[bytes], Any] = lambda der: der
        self.public = SPKI + self._key.public_key.format(compressed=False)

    @property
    def address(self) -> bytes:
        return keccak(self._key.public_key.format(compressed=False)[1:])[-20:]

    def get_public_key(self, *, KeyId: str) -> dict[str, Any]:  # noqa: N803
        if self.error:
            raise KmsError(self.error)
        return {"KeyId": KeyId, "PublicKey": self.public}

    def sign(self, *, KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str) -> dict[str, Any]:  # noqa: N803
        if self.error:
            raise KmsError(self.error)
        assert (MessageType, SigningAlgorithm, len(Message)) == ("DIGEST", "ECDSA_SHA_256", 32)
        key = PrivateKey(b"\x07" * 32) if self.stranger else self._key
        found = key.sign_recoverable(Message, hasher=None)
        r, s = int.from_bytes(found[:32], "big"), int.from_bytes(found[32:64], "big")
        return {"KeyId": KeyId, "Signature": self.spoil(der(r, ORDER - s if self.high_s else s))}


class KmsService(Service):
    """The key behind HTTP, in AWS's JSON protocol."""

    def __init__(self, key: KmsKey) -> None:
        super().__init__()
        self.key = key
        self.hangs = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = json.loads(await request.read())
        if self.hangs:
            await asyncio.Event().wait()
        try:
            if request.headers["X-Amz-Target"] == "TrentService.GetPublicKey":
                answer = self.key.get_public_key(KeyId=asked["KeyId"])
            else:
                message = base64.b64decode(asked["Message"])
                answer = self.key.sign(**{**asked, "Message": message})
        except KmsError as error:
            return web.json_response({"__type": error.response["Error"]["Code"]}, status=400)
        packed = {name: base64.b64encode(value).decode() for name, value in answer.items() if name != "KeyId"}
        return web.json_response(answer | packed, content_type="application/x-amz-json-1.1")


def der(r: int, s: int) -> bytes:
    """A signature as KMS writes it."""
    body = b"".join(_integer(number) for number in (r, s))
    return bytes([0x30, len(body)]) + body


def _integer(number: int) -> bytes:
    content = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes([0x02, len(content)]) + content
