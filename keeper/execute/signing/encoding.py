"""The bytes of an EIP-1559 transaction: what a signer hashes and signs, and what goes out with its signature."""

from dataclasses import dataclass
from typing import Any

import rlp
from coincurve import PublicKey
from eth_utils.crypto import keccak
from rlp.exceptions import RLPException

from keeper.execute.signing.signer import SignedTx, UnsignedTx

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of the curve secp256k1
HALF_ORDER = ORDER // 2
_TYPE = b"\x02"
_SIGNED_FIELDS = 12


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


def transaction_in(raw: bytes) -> tuple[UnsignedTx, Signature]:
    """The fields of signed bytes. Raises ValueError unless they are as `assembled` makes them."""
    if raw[:1] != _TYPE:
        raise ValueError("not an EIP-1559 transaction")
    try:
        tx, signature = _parsed(rlp.decode(raw[1:]))
    except RLPException as error:
        raise ValueError(f"not RLP: {error}") from None
    if bytes(rlp.encode([*_fields(tx), signature.parity, signature.r, signature.s])) != raw[1:]:
        raise ValueError("the transaction has an access list, or a number with leading zeros")
    return tx, signature


def sender_of(tx: UnsignedTx, signature: Signature) -> bytes:
    """The account that signed; empty for an invalid signature."""
    public_key = _recovered(signature, keccak(unsigned(tx)))
    return address_of(public_key) if public_key else b""


def _parsed(items: Any) -> tuple[UnsignedTx, Signature]:
    """The fields of a decoded list. Raises ValueError where they are too few or no byte strings."""
    if not isinstance(items, list) or len(items) != _SIGNED_FIELDS or not isinstance(items[8], list):
        raise ValueError("not the fields of a transaction")
    plain = [*items[:8], *items[9:]]
    if not all(isinstance(item, bytes) for item in plain):
        raise ValueError("not the fields of a transaction")
    chain_id, nonce, priority_fee, max_fee, gas, _, value, _, *signature = (int.from_bytes(item) for item in plain)
    tx = UnsignedTx(chain_id, nonce, items[5], items[7], gas, max_fee, priority_fee, value)
    parity, r, s = signature
    return tx, Signature(r, s, parity)


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
