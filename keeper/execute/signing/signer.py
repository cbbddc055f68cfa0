"""The interface of every signer, and a transaction before and after its signature."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UnsignedTx:
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
class SignedTx:
    """Raw bytes as they go to a node, and their hash."""

    raw: bytes
    tx_hash: bytes


class Signer(Protocol):
    """Signs for one address. A remote one raises Transient when it does not answer."""

    @property
    def address(self) -> bytes: ...

    async def open(self) -> None:
        """Check at the start that it can sign. Raises OperatorError."""
        ...

    async def sign(self, tx: UnsignedTx) -> SignedTx: ...

    async def close(self) -> None:
        """Close connections."""
        ...
