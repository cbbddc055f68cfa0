"""A signer in another process or on another machine: Web3Signer's `eth1` API.

It is given the unsigned transaction, hashes it and returns a signature; the transaction is put together here, so that
it cannot sign something else than was asked without the policy signer finding another sender. Its JSON-RPC
`eth_signTransaction` is not used: it takes the chain id from its own configuration.
"""

import re

import msgspec

from keeper.chain.http_service import Answer, HttpService
from keeper.errors import OperatorError, Transient
from keeper.execute.signing.encoding import Signature, address_of, assembled, unsigned
from keeper.execute.signing.signer import SignedTx, UnsignedTx
from keeper.model.chain import hexed

_KEYS = "/api/v1/eth1/publicKeys"
_SIGN = "/api/v1/eth1/sign/"
_OK = 200
_SIGNATURE = re.compile(rb'\s*("?)(?:0x)?([0-9a-fA-F]{130})\1\s*')
_PUBLIC_KEY = re.compile(r"(?:0x)?(?:04)?([0-9a-fA-F]{128})")
_PARITIES = {0: 0, 1: 1, 27: 0, 28: 1}
_MEANINGS = {400: "bad request", 401: "not authorised", 403: "forbidden", 404: "it does not hold the key"}


class RemoteSigner:
    """Signs over HTTP for one address. Every failure to sign is Transient: it may be repaired while the keeper runs."""

    def __init__(self, url: str, address: bytes, timeout_s: float) -> None:
        self.address = address
        self._http = HttpService(url, timeout_s)
        self._identifier: str | None = None

    def __repr__(self) -> str:
        return f"RemoteSigner({self._http.name}, {hexed(self.address)})"

    async def open(self) -> None:
        """Find the key. Raises OperatorError (exit code 4) when the signer does not answer or does not hold it."""
        try:
            self._identifier = await self._find()
        except Transient as error:
            raise OperatorError(
                f"KEEPER_REMOTE_SIGNER_URL: {error}. Start the signer, or correct KEEPER_SIGNER_ADDRESS", exit_code=4
            ) from None

    async def sign(self, tx: UnsignedTx) -> SignedTx:
        """Raises Transient."""
        self._identifier = self._identifier or await self._find()
        body = msgspec.json.encode({"data": hexed(unsigned(tx))})
        signature = signature_in(self._served(await self._http.post(body, _SIGN + self._identifier)))
        return assembled(tx, signature)

    async def close(self) -> None:
        await self._http.close()

    async def _find(self) -> str:
        """The signer's name for the key: its public key, as the signer spells it. Raises Transient."""
        for identifier in identifiers_in(self._served(await self._http.get(_KEYS))):
            found = _PUBLIC_KEY.fullmatch(identifier)
            if found and address_of(bytes.fromhex(found[1])) == self.address:
                return identifier
        raise Transient(f"{self._http.name} does not hold the key of {hexed(self.address)}")

    def _served(self, answer: Answer) -> bytes:
        if answer.status == _OK:
            return answer.body
        meaning = _MEANINGS.get(answer.status)
        raise Transient(f"{self._http.name}: HTTP status {answer.status}" + (f" ({meaning})" if meaning else ""))


def signature_in(body: bytes) -> Signature:
    """r, s and v in hex, plain or as a JSON string. Raises Transient for anything else."""
    found = _SIGNATURE.fullmatch(body)
    packed = bytes.fromhex(found[2].decode()) if found else b""
    try:
        r, s = int.from_bytes(packed[:32], "big"), int.from_bytes(packed[32:64], "big")
        return Signature(r, s, _PARITIES[packed[64]])
    except (IndexError, KeyError, ValueError):
        raise Transient("the signer gave an unusable answer: not a signature") from None


def identifiers_in(body: bytes) -> list[str]:
    """The keys that a signer holds. Raises Transient for anything but a JSON list of texts."""
    try:
        return msgspec.json.decode(body, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Transient("the signer gave an unusable answer: not a list of keys") from None
