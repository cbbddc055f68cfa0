"""Many views in one `eth_call`: packs `BulkReader.read((address,bytes)[])` and unpacks its answer. Pure.

By hand, since it runs in every block: see `contracts/src/BulkReader.sol` and the ABI specification for the layout.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from eth_utils.crypto import keccak

from keeper.abi import load_abi, load_runtime
from keeper.errors import Transient
from keeper.model.chain import Call, CallResult, hexed

_WORD = 32
_READ_SLOTS = keccak(text="readSlots()")[:4]
READER = b"keeper.bulk-reader.1"  # 20 bytes: an address that nobody has the key of


@cache
def _readers() -> dict[str, dict[str, str]]:
    return {hexed(READER): {"code": hexed(load_runtime("BulkReader"))}}


def overrides(codes: Mapping[bytes, bytes], calls: Sequence[Call] = ()) -> dict[str, dict[str, str]]:
    """The state override that puts the reader's code where no contract is, and that of `calls` that bring their own.

    codes: contracts whose storage is read, and their code: it moves aside for a reader of slots, which hands on to it
    whatever else is called.
    """
    found = _readers() | {hexed(call.to): {"code": hexed(call.code)} for call in calls if call.code}
    for contract, code in codes.items():
        found[hexed(contract)] = {"code": hexed(load_runtime("SlotReader"))}
        found[hexed(_mirror(contract))] = {"code": hexed(code)}
    return found


def _mirror(contract: bytes) -> bytes:
    """Where a contract's own code stands meanwhile: see `contracts/src/SlotReader.sol`."""
    return keccak(b"keeper.mirror" + contract)[-20:]


@cache
def clock() -> Call:
    """Asks the reader for the time of the block that it runs in."""
    return Call(READER, load_abi("BulkReader").functions["clock"].encode())


def pack(calls: Sequence[Call]) -> bytes:
    """Calldata of `read(calls)`."""
    heads, bodies, offset = [], [], _WORD * len(calls)
    for call in calls:
        data = _READ_SLOTS + call.data if call.storage else call.data
        size = len(data)
        body = b"".join(
            (bytes(12), call.to, _word(2 * _WORD), _word(size), data, bytes(-size % _WORD)),
        )
        heads.append(_word(offset))
        bodies.append(body)
        offset += len(body)
    selector = load_abi("BulkReader").functions["read"].selector
    return b"".join((selector, _word(_WORD), _word(len(calls)), *heads, *bodies))


def unpack(data: bytes, count: int) -> list[CallResult]:
    """The results of `count` calls. Raises Transient when the answer is not what `read` returns."""
    start = _at(data, 0)
    if _at(data, start) != count:
        raise Transient(f"unusable answer: not {count} results")
    base = start + _WORD
    return [_result(data, base + _at(data, base + _WORD * index)) for index in range(count)]


def _result(data: bytes, place: int) -> CallResult:
    success = _at(data, place)
    where = place + _at(data, place + _WORD)
    size = _at(data, where)
    begin = where + _WORD
    if success > 1 or begin + size > len(data):
        raise Transient("unusable answer: a malformed result")
    return CallResult(success == 1, data[begin : begin + size])


def _at(data: bytes, place: int) -> int:
    if place + _WORD > len(data):
        raise Transient("unusable answer: cut short")
    return int.from_bytes(data[place : place + _WORD], "big")


def _word(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")
