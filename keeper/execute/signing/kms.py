"""A key that never leaves AWS KMS, for the optional extra `liquidation-keeper[aws]`.

KMS gives DER signatures without a recovery id, half of them with a high s: both are put right here. What comes out is
verified by the policy signer like everything else.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from coincurve import PublicKey
from eth_utils.crypto import keccak

from keeper.errors import OperatorError, Transient
from keeper.execute.signing.encoding import Signature, address_of, assembled, low, unsigned
from keeper.execute.signing.signer import SignedTx, UnsignedTx
from keeper.model.chain import hexed

# A SubjectPublicKeyInfo (RFC 5480) of an uncompressed point on secp256k1; 64 bytes follow.
_SPKI = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a03420004")
_POINT = 64
_SEQUENCE, _INTEGER = 0x30, 0x02
_WORD = 32

Failures = tuple[type[Exception], ...]


class KmsClient(Protocol):
    """The two calls of boto3's KMS client that are used."""

    def get_public_key(self, *, KeyId: str) -> Mapping[str, Any]: ...  # noqa: N803

    def sign(
        self,
        *,
        KeyId: str,  # noqa: N803
        Message: bytes,  # noqa: N803
        MessageType: str,  # noqa: N803
        SigningAlgorithm: str,  # noqa: N803
    ) -> Mapping[str, Any]: ...


class KmsSigner:
    """Signs with one KMS key. `failures`: the client's own exceptions. Asks for the public key: construct in a thread.

    Raises OperatorError (exit code 4 when KMS refuses or does not answer).
    """

    def __init__(self, client: KmsClient, key_id: str, failures: Failures) -> None:
        self._client = client
        self._key_id = key_id
        self._failures = failures
        try:
            answer = client.get_public_key(KeyId=key_id)
        except failures as error:
            raise OperatorError(f"KEEPER_KMS_KEY_ID: no public key ({_named(error)})", exit_code=4) from None
        self._public_key = public_key_in(answer.get("PublicKey"))
        self.address = address_of(self._public_key)

    def __repr__(self) -> str:
        return f"KmsSigner({hexed(self.address)})"

    async def open(self) -> None:
        """Nothing to do: the constructor found the key."""

    async def sign(self, tx: UnsignedTx) -> SignedTx:
        """Raises Transient."""
        digest = keccak(unsigned(tx))
        answer = await asyncio.to_thread(self._ask, digest)
        return assembled(tx, self._signature(answer.get("Signature"), digest))

    async def close(self) -> None:
        """Nothing to close."""

    def _ask(self, digest: bytes) -> Mapping[str, Any]:
        try:
            return self._client.sign(
                KeyId=self._key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
            )
        except self._failures as error:
            raise Transient(f"KMS did not sign ({_named(error)})") from None

    def _signature(self, der: object, digest: bytes) -> Signature:
        try:
            r, s = numbers_in(der if isinstance(der, bytes) else b"")
            return low(r, s, digest, self._public_key)
        except ValueError:
            raise Transient("KMS gave an unusable answer: not a signature") from None


def numbers_in(der: bytes) -> tuple[int, int]:
    """r and s of an ECDSA signature in DER. Raises ValueError for anything that is not exactly one."""
    content, rest = _taken(der, _SEQUENCE)
    r, after = _taken(content, _INTEGER)
    s, left = _taken(after, _INTEGER)
    if rest or left:
        raise ValueError("something follows")
    return _unsigned(r), _unsigned(s)


def _taken(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of one element, and what follows it. Only short lengths: no signature needs more."""
    if len(data) < 2 or data[0] != tag or data[1] > 0x7F or len(data) < 2 + data[1]:
        raise ValueError("not DER")
    return data[2 : 2 + data[1]], data[2 + data[1] :]


def _unsigned(content: bytes) -> int:
    """A positive integer in the shortest form, of 256 bits at most."""
    negative = not content or content[0] > 0x7F
    padded = len(content) > 1 and content[0] == 0 and content[1] <= 0x7F
    if negative or padded or len(content.lstrip(b"\0")) > _WORD:
        raise ValueError("not a positive integer")
    return int.from_bytes(content, "big")


def public_key_in(der: object) -> bytes:
    """The 64 bytes of a key on secp256k1. Raises OperatorError for any other key."""
    wrong = OperatorError("KEEPER_KMS_KEY_ID: not a signing key of the kind ECC_SECG_P256K1: give another key")
    if not isinstance(der, bytes) or not der.startswith(_SPKI) or len(der) != len(_SPKI) + _POINT:
        raise wrong
    point = der[len(_SPKI) :]
    try:
        PublicKey(b"\x04" + point)
    except ValueError:
        raise wrong from None
    return point


def connect_kms(key_id: str, region: str | None, endpoint_url: str | None, timeout_s: float) -> KmsSigner:
    """The signer over boto3, which finds credentials by itself. Blocks. Raises OperatorError."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ModuleNotFoundError:
        raise OperatorError("KEEPER_KMS_KEY_ID needs boto3: pip install 'liquidation-keeper[aws]'") from None
    config = Config(connect_timeout=timeout_s, read_timeout=timeout_s, retries={"total_max_attempts": 1})
    try:
        client = boto3.session.Session().client("kms", region_name=region, endpoint_url=endpoint_url, config=config)
    except BotoCoreError as error:
        raise OperatorError(f"KEEPER_KMS_KEY_ID: no client for KMS ({_named(error)}): set KEEPER_KMS_REGION") from None
    return KmsSigner(client, key_id, (BotoCoreError, ClientError))


def _named(error: Exception) -> str:
    """The error's code only: AWS messages contain accounts and ARNs."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(code or type(error).__name__)
