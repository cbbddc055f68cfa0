"""The bytes of an EIP-1559 transaction: what a signer hashes and signs, and what goes out with its signature."""

from dataclasses import dataclass

import rlp
from coincurve import PublicKey
from eth_utils.crypto import keccak

from keeper.execute.signing.signer import SignedTx, UnsignedTx

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of the curve secp256k1
HALF_ORDER = ORDER // 2
_TYPE = b"\x02"


@dataclass(frozen=True, slots=True)
class Signature:
    """An ECDSA signature and the parity of its point's y. Raises ValueError for an impossible `r` or `s`."""

    r: int
    s: int
    parity: int

    def __post_init__(self) -> None:
        if not (0 < self.r < ORDER and 0 < self.s < ORDER and self.parity in (0, 1)):
            raise ValueError("not a signature")


def unsigned(tx: UnsignedTx) -> bytes:
    """What is signed, before it is hashed with keccak256."""
    return _TYPE + bytes(rlp.encode(_fields(tx)))


def assembled(tx: UnsignedTx, signature: Signature) -> SignedTx:
    """The transaction as it goes to a node. The signature is not checked here but in the policy signer."""
    raw = _TYPE + bytes(rlp.encode([*_fields(tx), signature.parity, signature.r, signature.s]))
    return SignedTx(raw, keccak(raw))


def low(r: int, s: int, digest: bytes, public_key: bytes) -> Signature:
    """The low-s form of a signature, which chains accept, with its parity found by trying both.

    public_key: 64 bytes. Where neither parity recovers to the key, parity 0: the policy signer finds another sender.
    """
    if s > HALF_ORDER:
        s = ORDER - s
    found = [parity for parity in (0, 1) if _recovered(Signature(r, s, parity), digest) == public_key]
    return Signature(r, s, found[0] if found else 0)


def address_of(public_key: bytes) -> bytes:
    """The account of an uncompressed public key of 64 bytes."""
    return keccak(public_key)[-20:]


def _recovered(signature: Signature, digest: bytes) -> bytes:
    """The public key that signed, 64 bytes; empty for an invalid signature."""
    packed = signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([signature.parity])
    try:
        return PublicKey.from_signature_and_message(packed, digest, hasher=None).format(compressed=False)[1:]
    except ValueError:
        return b""


def _fields(tx: UnsignedTx) -> list[object]:
    return [tx.chain_id, tx.nonce, tx.priority_fee, tx.max_fee, tx.gas, tx.to, tx.value, tx.data, []]
