"""Many views in one `eth_call`: encodes `BulkReader.read((address,bytes)[])` and decodes its answer. Pure.

Encoded by hand for speed, as it runs in every block. The layout is in `contracts/src/BulkReader.sol` and the ABI
specification.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from eth_utils.crypto import keccak

from keeper.abi import load_abi, load_runtime
from keeper.errors import Transient
from keeper.model.chain import Call, CallResult, hexed

_WORD = 32
_READ_SLOTS = keccak(text="readSlots()")[:4]
READER = b"keeper.bulk-reader.1"  # 20 bytes: an address without a known key


@cache
def _readers() -> dict[str, dict[str, str]]:
    return {hexed(READER): {"code": hexed(load_runtime("BulkReader"))}}


def overrides(codes: Mapping[bytes, bytes], calls: Sequence[Call] = ()) -> dict[str, dict[str, str]]:
    """The state override with the code of the bulk reader, and of `calls` that carry code of their own.

    codes: code of each contract whose storage is read. A slot reader takes its place, and forwards all other calls to
    the contract's code at another address.
    """
    found = _readers() | {hexed(call.to): {"code": hexed(call.code)} for call in calls if call.code}
    for contract, code in codes.items():
        found[hexed(contract)] = {"code": hexed(load_runtime("SlotReader"))}
        found[hexed(_mirror(contract))] = {"code": hexed(code)}
    return found


def _mirror(contract: bytes) -> bytes:
    """The address to which a contract's own code is moved: see `contracts/src/SlotReader.sol`."""
    return keccak(b"keeper.mirror" + contract)[-20:]


@cache
def clock() -> Call:
    """A call that returns the timestamp of the block in which the bulk read runs."""
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
        raise Transient(f"unusable answer: a bulk read did not return {count} results")
    base = start + _WORD
    return [_result(data, base + _at(data, base + _WORD * index)) for index in range(count)]


def _result(data: bytes, place: int) -> CallResult:
    success = _at(data, place)
    where = place + _at(data, place + _WORD)
    size = _at(data, where)
    begin = where + _WORD
    if success > 1 or begin + size > len(data):
        raise Transient("unusable answer: malformed bulk read")
    return CallResult(success == 1, data[begin : begin + size])


def _at(data: bytes, place: int) -> int:
    if place + _WORD > len(data):
        raise Transient("unusable answer: bulk read is too short")
    return int.from_bytes(data[place : place + _WORD], "big")


def _word(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")
