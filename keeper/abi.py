"""ABI encoding from the minimal ABIs in `abis/`, without web3, which is slow to import and slow to encode."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_abi.grammar import ABIType, BasicType, TupleType, parse
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.model.chain import Log

_PACKAGED = Path(__file__).parent / "_abis"
ABI_DIRECTORY = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "abis"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a contract. Encodes calls and decodes answers."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def encode(self, *args: Any) -> bytes:
        """Calldata. Addresses are 20 raw bytes or hex."""
        return self.selector + encode(self.inputs, args)

    def arguments(self, data: bytes) -> tuple[Any, ...]:
        """Arguments of calldata, addresses in hex. Encoding them again gives the same bytes.

        Raises eth_abi's DecodingError for anything but the one canonical encoding: for dirty padding, other offsets,
        missing or trailing bytes. Does not look at the selector.
        """
        return _canonical(self.inputs)(data)

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Return values; raises eth_abi's DecodingError when data is short or malformed."""
        return tuple(decode(self.outputs, data))


@dataclass(frozen=True, slots=True)
class AbiEvent:
    """One event of a contract."""

    name: str
    topic: bytes
    indexed: tuple[str, ...]
    plain: tuple[str, ...]

    def decode(self, log: Log) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """(indexed values, data values) of a log. Addresses are lower-case hex."""
        indexed = tuple(decode([kind], topic)[0] for kind, topic in zip(self.indexed, log.topics[1:], strict=True))
        return indexed, tuple(decode(self.plain, log.data))


@dataclass(frozen=True, slots=True)
class Error:
    """One custom error of a contract."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Arguments from revert data."""
        return tuple(decode(self.inputs, data[4:]))


class Contract:
    """The functions, events and errors of one minimal ABI."""

    def __init__(self, entries: Sequence[dict[str, Any]]) -> None:
        self.functions: dict[str, Function] = {}
        self.events: dict[str, AbiEvent] = {}
        self.errors: dict[bytes, Error] = {}
        for entry in entries:
            kind = entry["type"]
            inputs = entry.get("inputs", [])
            types = tuple(collapse_if_tuple(part) for part in inputs)
            digest = keccak(text=f"{entry.get('name', '')}({','.join(types)})")
            if kind == "function":
                outputs = tuple(collapse_if_tuple(part) for part in entry.get("outputs", []))
                self.functions[entry["name"]] = Function(entry["name"], digest[:4], types, outputs)
            elif kind == "event":
                indexed = tuple(collapse_if_tuple(part) for part in inputs if part["indexed"])
                plain = tuple(collapse_if_tuple(part) for part in inputs if not part["indexed"])
                self.events[entry["name"]] = AbiEvent(entry["name"], digest, indexed, plain)
            elif kind == "error":
                self.errors[digest[:4]] = Error(entry["name"], digest[:4], types)


_WORD = 32
_Reader = Callable[[bytes, int], tuple[Any, int]]  # (data, where) -> value, and where what follows it begins


@cache
def _canonical(types: tuple[str, ...]) -> Callable[[bytes], tuple[Any, ...]]:
    """Decodes calldata whose arguments have these types, strings excepted. eth_abi also takes other encodings."""
    sequence = _sequence([parse(kind) for kind in types])

    def arguments(data: bytes) -> tuple[Any, ...]:
        values, end = sequence(data, 4)
        if end != len(data):
            raise DecodingError(f"{len(data)} bytes of calldata, {end} expected")
        return tuple(values)

    return arguments


def _sequence(kinds: Sequence[ABIType]) -> _Reader:
    return _following([_part(kind) for kind in kinds])


def _part(kind: ABIType) -> tuple[int, bool, _Reader]:
    """(bytes in the head, whether they are an offset, what reads it)."""
    return _WORD if kind.is_dynamic else _size(kind), kind.is_dynamic, _reader(kind)


def _following(parts: Sequence[tuple[int, bool, _Reader]]) -> _Reader:
    """Reads a head of static values and offsets, and behind it what the offsets lead to, in order and without gaps."""
    head = sum(size for size, _, _ in parts)

    def read(data: bytes, start: int) -> tuple[tuple[Any, ...], int]:
        place, end = start, start + head
        if end > len(data):
            raise DecodingError(f"{len(data)} bytes of calldata, at least {end} expected")
        values = []
        for size, dynamic, part in parts:
            if not dynamic:
                value, _ = part(data, place)
            elif _word(data, place) == end - start:
                value, end = part(data, end)
            else:
                raise DecodingError(f"the offset at byte {place} is not canonical")
            values.append(value)
            place += size
        return tuple(values), end

    return read


def _reader(kind: ABIType) -> _Reader:
    if kind.is_array:
        return _array(kind)
    if isinstance(kind, TupleType):
        return _sequence(kind.components)
    assert isinstance(kind, BasicType)
    return _bytes if kind.base == "bytes" and kind.sub is None else _value(kind.base, kind.sub)


def _array(kind: ABIType) -> _Reader:
    part = _part(kind.item_type)
    assert kind.arrlist is not None
    if length := kind.arrlist[-1]:
        return _following([part] * length[0])

    def read(data: bytes, start: int) -> tuple[Any, int]:
        count = _word(data, start)
        if count * _WORD > len(data) - start - _WORD:
            raise DecodingError(f"{count} elements in {len(data)} bytes of calldata")
        return _following([part] * count)(data, start + _WORD)

    return read


def _bytes(data: bytes, start: int) -> tuple[bytes, int]:
    length = _word(data, start)
    first = start + _WORD
    end = first + -(-length // _WORD) * _WORD
    if end > len(data) or any(data[first + length : end]):
        raise DecodingError(f"{length} bytes at byte {start} are cut off or badly padded")
    return data[first : first + length], end


def _value(base: str, sub: Any) -> _Reader:
    """One word. Raises DecodingError for bits that the type does not have."""
    bits = 160 if base == "address" else 1 if base == "bool" else 8 * sub if base == "bytes" else sub

    def read(data: bytes, place: int) -> tuple[Any, int]:
        value: Any = _word(data, place)
        if base == "bytes":
            value, rest = data[place : place + sub], value % (1 << 256 - bits)
        elif base == "int":
            value = value - (1 << 256) if value >> 255 else value
            rest = not -(1 << bits - 1) <= value < 1 << bits - 1
        else:
            rest = value >> bits
        if rest:
            raise DecodingError(f"the word at byte {place} is no {base}{sub or ''}")
        if base == "address":
            value = f"0x{value:040x}"
        return bool(value) if base == "bool" else value, place + _WORD

    return read


def _size(kind: ABIType) -> int:
    """Bytes of a static type."""
    if kind.is_array:
        assert kind.arrlist is not None
        return _size(kind.item_type) * int(kind.arrlist[-1][0])
    return sum(map(_size, kind.components)) if isinstance(kind, TupleType) else _WORD


def _word(data: bytes, place: int) -> int:
    if place + _WORD > len(data):
        raise DecodingError(f"{len(data)} bytes of calldata end within a word")
    return int.from_bytes(data[place : place + _WORD], "big")


@cache
def read_abi(name: str) -> list[Any]:
    """The ABI of `abis/{name}.json` as it stands there, for web3."""
    found: list[Any] = _read(name)["abi"]
    return found


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ABI_DIRECTORY / f"{name}.json").read_text())
    return found


@cache
def load_abi(name: str) -> Contract:
    """The contract `abis/{name}.json`."""
    return Contract(read_abi(name))


@cache
def load_runtime(name: str) -> bytes:
    """Runtime code that `abis/{name}.json` carries, zeros where immutables are. `make check` compares it with the
    build."""
    return bytes.fromhex(_read(name)["runtime"])


@cache
def load_immutables(name: str) -> tuple[tuple[int, int], ...]:
    """Where `load_runtime` has zeros and deployed code has values: (first byte, length) pairs."""
    return tuple((start, length) for start, length in _read(name)["immutables"])


@cache
def load_creation(name: str) -> bytes:
    """Creation code that `abis/{name}.json` carries, without constructor arguments."""
    return bytes.fromhex(_read(name)["creation"])


def checksum(address: bytes) -> str:
    """EIP-55 form, for people and JSON."""
    return str(to_checksum_address(address))
