"""Signers: an address and a signature. The key never shows in a repr, an error or a log."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.exceptions import ValidationError

from keeper.abi import checksum
from keeper.errors import OperatorError


@dataclass(frozen=True, slots=True)
class Tx:
    """The fields of an EIP-1559 transaction. Fees in wei; `to` is 20 raw bytes, empty to create a contract."""

    chain_id: int
    nonce: int
    to: bytes
    data: bytes
    gas: int
    max_fee: int
    priority_fee: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class Signed:
    """Raw bytes as they go to a node, and their hash."""

    raw: bytes
    tx_hash: bytes


class Signer(Protocol):
    """Whoever can sign for one address. A remote one raises Transient when it does not answer."""

    @property
    def address(self) -> bytes: ...

    async def open(self) -> None:
        """Make sure, before anything else, that it can sign. Raises OperatorError."""
        ...

    async def sign(self, tx: Tx) -> Signed: ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class LocalSigner:
    """A key in memory."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self.address = bytes.fromhex(account.address[2:])

    def __repr__(self) -> str:
        return f"LocalSigner({self._account.address})"

    async def open(self) -> None:
        """A key in memory is always there."""

    async def close(self) -> None:
        """There is no connection."""

    async def sign(self, tx: Tx) -> Signed:
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": tx.chain_id,
            "nonce": tx.nonce,
            "to": checksum(tx.to) if tx.to else b"",
            "data": tx.data,
            "gas": tx.gas,
            "maxFeePerGas": tx.max_fee,
            "maxPriorityFeePerGas": tx.priority_fee,
            "value": tx.value,
        }
        signed = self._account.sign_transaction(fields)
        return Signed(bytes(signed.raw_transaction), bytes(signed.hash))


def from_private_key(key: str) -> LocalSigner:
    """A signer from 32 bytes in hex. Raises OperatorError, which never repeats the key."""
    malformed = OperatorError(
        "the private key is malformed: KEEPER_PRIVATE_KEY or KEEPER_PRIVATE_KEY_FILE must be 64 hex digits"
    )
    try:
        secret = bytes.fromhex(key.strip().removeprefix("0x"))
    except ValueError:
        raise malformed from None
    if len(secret) != 32:
        raise malformed
    try:
        return LocalSigner(Account.from_key(secret))
    except (ValueError, ValidationError):  # zero, or beyond the order of the curve
        raise malformed from None


def from_keystore(path: Path, password: str) -> LocalSigner:
    """A signer from an encrypted keystore (V3); takes a second or so, by design of the format.

    Raises OperatorError for an unreadable file, a file that is no keystore, and a wrong password.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise OperatorError(f"KEEPER_KEYSTORE_FILE: cannot read {path}: {reason}") from None
    no_keystore = OperatorError(f"KEEPER_KEYSTORE_FILE: {path} is not an encrypted keystore (V3)")
    try:
        keystore = json.loads(text)
        version = keystore["version"]
    except (ValueError, KeyError, TypeError):
        raise no_keystore from None
    if version != 3:
        raise no_keystore
    try:
        return LocalSigner(Account.from_key(Account.decrypt(keystore, password)))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise OperatorError(f"KEEPER_KEYSTORE_PASSWORD_FILE: wrong password for the keystore {path}") from None
        raise no_keystore from None
    except (KeyError, TypeError, NotImplementedError):
        raise no_keystore from None
