"""Keys in memory, from a file or an encrypted keystore. The key never shows in a repr, an error or a log."""

import json
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.exceptions import ValidationError

from keeper.abi import checksum
from keeper.errors import OperatorError
from keeper.execute.signing.signer import SignedTx, UnsignedTx
from keeper.secret_files import read_secret


class LocalSigner:
    """A key in memory."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self.address = bytes.fromhex(account.address[2:])

    def __repr__(self) -> str:
        return f"LocalSigner({self._account.address})"

    async def open(self) -> None:
        """Nothing to do: the key is in memory."""

    async def close(self) -> None:
        """Nothing to close."""

    async def sign(self, tx: UnsignedTx) -> SignedTx:
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
        return SignedTx(bytes(signed.raw_transaction), bytes(signed.hash))


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


def from_keystore(path: Path, password: str, allow_open: bool = False) -> LocalSigner:
    """A signer from an encrypted keystore (V3); takes a second or so, by design of the format.

    Raises OperatorError for a file that is unreadable, no keystore or, unless `allow_open`, readable by other users,
    and for a wrong password.
    """
    text = read_secret(path, "KEEPER_KEYSTORE_FILE", allow_open)
    no_keystore = OperatorError(
        f"KEEPER_KEYSTORE_FILE: {path} is not an encrypted keystore (V3): give the JSON file that geth, clef or "
        "`cast wallet import` wrote, or set KEEPER_PRIVATE_KEY_FILE for a plain key"
    )
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
