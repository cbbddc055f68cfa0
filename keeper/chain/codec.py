"""Answers of nodes as typed structures. An answer that is null, short or malformed raises Transient.

Logs go from JSON bytes to `Log` without a dict in between: 100,000 of them (83 MB) take about as long as `json.loads`
takes for the bytes alone.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from keeper.errors import Transient
from keeper.model.chain import BlockRef, Log, LogFilter, Receipt

T = TypeVar("T")

HASH_BYTES = 32
ADDRESS_BYTES = 20
BLOOM_BYTES = 256
_LARGEST_WORD = 2**256
_LARGEST_INDEX = 2**64


class WireError(msgspec.Struct):
    """The `error` member of an answer."""

    code: int = 0
    message: str = ""
    data: Any = None


class Envelope(msgspec.Struct):
    """One JSON-RPC message: an answer, or a subscription's notice (`method` and `params`)."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: WireError | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw()


class WireBlock(msgspec.Struct, rename="camel"):
    """A block header."""

    number: str
    hash: str
    parent_hash: str
    timestamp: str
    gas_used: str
    gas_limit: str
    base_fee_per_gas: str | None = None
    logs_bloom: str | None = None


class WireLog(msgspec.Struct, rename="camel", gc=False):
    """A log of a mined block."""

    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    log_index: str
    transaction_hash: str
    removed: bool = False


class WireReceipt(msgspec.Struct, rename="camel"):
    """A receipt. Some nodes return one without a block while the transaction is pending."""

    transaction_hash: str
    block_number: str | None
    block_hash: str | None
    status: str
    gas_used: str
    effective_gas_price: str
    cumulative_gas_used: str
    logs: list[WireLog]
    l1_fee: str | None = None  # these four of the OP stack
    operator_fee_scalar: str | None = None
    operator_fee_constant: str | None = None
    da_footprint_gas_scalar: str | None = None  # since Jovian


class WireNotice(msgspec.Struct):
    """The `params` of a subscription's notice."""

    subscription: str
    result: msgspec.Raw


_MESSAGES = msgspec.json.Decoder(Envelope | list[Envelope])


def messages(body: bytes | str) -> list[Envelope]:
    """The messages of a body or frame, batch or not. Raises ValueError for anything else."""
    try:
        found = _MESSAGES.decode(body)
    except UnicodeDecodeError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found if isinstance(found, list) else [found]


def shaped(raw: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Decode a result as `kind`. Raises Transient when it is something else."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Transient(f"unusable answer: {error}") from None


def quantity(text: str, limit: int = _LARGEST_WORD) -> int:
    """A JSON-RPC quantity below `limit`. Raises Transient."""
    try:
        value = int(text, 16) if text.startswith("0x") and text.isascii() and "_" not in text else -1
    except ValueError:
        value = -1
    if not 0 <= value < limit:
        raise Transient("unusable answer: not a hex quantity")
    return value


def octets(text: str) -> bytes:
    """Bytes of 0x-prefixed hex. Raises Transient."""
    try:
        value = bytes.fromhex(text[2:])
    except ValueError:
        value = b""
    if text.startswith("0x") and len(text) == 2 + 2 * len(value):  # fromhex ignores white space
        return value
    raise Transient("unusable answer: not hex data")


def fixed(text: str, size: int = HASH_BYTES) -> bytes:
    """Exactly `size` bytes of 0x-prefixed hex. Raises Transient."""
    value = octets(text)
    if len(value) != size:
        raise Transient(f"unusable answer: {len(value)} bytes instead of {size}")
    return value


def block_of(wire: WireBlock) -> BlockRef:
    """Raises Transient for malformed fields."""
    return BlockRef(
        number=quantity(wire.number, _LARGEST_INDEX),
        hash=fixed(wire.hash),
        parent=fixed(wire.parent_hash),
        timestamp=quantity(wire.timestamp, _LARGEST_INDEX),
        base_fee=quantity(wire.base_fee_per_gas) if wire.base_fee_per_gas is not None else 0,
        gas_used=quantity(wire.gas_used, _LARGEST_INDEX),
        gas_limit=quantity(wire.gas_limit, _LARGEST_INDEX),
        bloom=fixed(wire.logs_bloom, BLOOM_BYTES) if wire.logs_bloom else b"",
    )


class _Seen(dict[str, bytes]):
    """Caches the decoded addresses, topics and hashes of one answer, which repeat."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __missing__(self, text: str) -> bytes:
        value = self[text] = fixed(text, self._size)
        return value


def logs_in(wires: Iterable[WireLog]) -> list[Log]:
    """Raises Transient for malformed fields and for a log that is marked as removed."""
    hashes, addresses = _Seen(HASH_BYTES), _Seen(ADDRESS_BYTES)
    logs = []
    for wire in wires:
        if wire.removed:
            raise Transient("unusable answer: a log marked as removed by a reorg")
        logs.append(
            Log(
                addresses[wire.address],
                tuple([hashes[topic] for topic in wire.topics]),
                octets(wire.data),
                quantity(wire.block_number, _LARGEST_INDEX),
                hashes[wire.block_hash],
                quantity(wire.log_index, _LARGEST_INDEX),
                hashes[wire.transaction_hash],
            )
        )
    return logs


def logs_of(wires: Iterable[WireLog], wanted: LogFilter) -> list[Log]:
    """Logs in chain order. Raises Transient when one is malformed, was not asked for, or appears twice."""
    logs = logs_in(wires)
    addresses, topics = frozenset(wanted.addresses), frozenset(wanted.topics)
    if any(not _is_wanted(log, addresses, topics) for log in logs):
        raise Transient("unusable answer: a log that was not asked for")
    logs.sort(key=_place)
    if any(_place(left) == _place(right) for left, right in pairwise(logs)):
        raise Transient("unusable answer: the same log twice")
    return logs


def select(logs: Sequence[Log], wanted: LogFilter) -> list[Log]:
    """The logs that match a filter."""
    addresses, topics = frozenset(wanted.addresses), frozenset(wanted.topics)
    return [log for log in logs if _is_wanted(log, addresses, topics)]


def _is_wanted(log: Log, addresses: frozenset[bytes], topics: frozenset[bytes]) -> bool:
    if addresses and log.address not in addresses:
        return False
    return not topics or (bool(log.topics) and log.topics[0] in topics)


def _place(log: Log) -> tuple[int, int]:
    return log.block_number, log.index


def receipt_of(wire: WireReceipt) -> Receipt | None:
    """None while its transaction is pending. Raises Transient for malformed fields."""
    if wire.block_hash is None or wire.block_number is None:
        return None
    return Receipt(
        tx_hash=fixed(wire.transaction_hash),
        block_number=quantity(wire.block_number, _LARGEST_INDEX),
        block_hash=fixed(wire.block_hash),
        status=quantity(wire.status, 2),
        gas_used=quantity(wire.gas_used, _LARGEST_INDEX),
        effective_gas_price=quantity(wire.effective_gas_price),
        logs=tuple(logs_in(wire.logs)),
        data_fee=_data_fee(wire),
    )


def _data_fee(wire: WireReceipt) -> int:
    """What the OP stack charged beside the gas: specs/protocol/{isthmus,jovian}/exec-engine.md, operator fee.

    On Arbitrum it is in the gas, so `gasUsedForL1` is not counted.
    """
    scaled = quantity(wire.operator_fee_scalar or "0x0") * quantity(wire.gas_used)
    operator = scaled // 10**6 if wire.da_footprint_gas_scalar is None else scaled * 100
    return quantity(wire.l1_fee or "0x0") + operator + quantity(wire.operator_fee_constant or "0x0")
