"""Blocks, logs, calls and receipts. Hashes and addresses are raw bytes inside the program."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block. Every read behind a decision is pinned to one `hash`."""

    number: int
    hash: bytes
    parent: bytes
    timestamp: int  # seconds
    base_fee: int = 0  # wei
    gas_used: int = 0
    gas_limit: int = 30_000_000
    bloom: bytes = b""

    def __str__(self) -> str:
        return f"{self.number} (0x{self.hash.hex()[:8]})"


@dataclass(frozen=True, slots=True)
class Log:
    """One event log, in its block."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    index: int
    tx_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs to read: any of the addresses, and any of the first topics (empty means all)."""

    addresses: tuple[bytes, ...]
    topics: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a contract: a view in a bulk read, or what a transaction carries.

    `storage`: a raw read instead, in bulk reads only. `data` is then storage slots, 32 bytes each, and the answer is
    their values, packed alike (see `storage_read`). `code`: runtime code placed at `to` during a bulk read, for
    views that take several steps on the chain; a node without code overrides gives an empty answer.
    """

    to: bytes
    data: bytes
    storage: bool = False
    code: bytes = b""


def storage_read(contract: bytes, slots: Iterable[int]) -> Call:
    """A read of storage slots, for values without a view or with an expensive one."""
    return Call(contract, b"".join(slot.to_bytes(32, "big") for slot in slots), storage=True)


@dataclass(frozen=True, slots=True)
class CallResult:
    """Answer to one call: return data, or revert data when not `ok`. `unfunded`: the sender cannot pay for the gas."""

    ok: bool
    data: bytes
    unfunded: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction. `status` is 1 when it did not revert; fees are in wei."""

    tx_hash: bytes
    block_number: int
    block_hash: bytes
    status: int
    gas_used: int
    effective_gas_price: int
    logs: tuple[Log, ...] = ()
    data_fee: int = 0  # charged beside the gas, for publishing it on L1 and by the operator of a rollup


def hexed(value: bytes) -> str:
    """0x-prefixed lower-case hex, as JSON-RPC wants it."""
    return "0x" + value.hex()


def unhexed(value: str) -> bytes:
    """Bytes of a 0x-prefixed hex string.

    Raises ValueError when it is not one.
    """
    if not value.startswith(("0x", "0X")):
        raise ValueError("hex without 0x")
    return bytes.fromhex(value[2:])
