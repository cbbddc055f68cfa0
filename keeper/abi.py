"""ABI encoding from the minimal ABIs in `abis/`, without web3, which is slow to import and slow to encode."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
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
        """Arguments of calldata, addresses in hex; raises eth_abi's DecodingError when it is short or malformed."""
        return tuple(decode(self.inputs, data[4:]))

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


@cache
def read_abi(name: str) -> list[Any]:
    """The ABI of `abis/{name}.json` as it stands there, for web3."""
    found: list[Any] = json.loads((ABI_DIRECTORY / f"{name}.json").read_text())["abi"]
    return found


@cache
def load_abi(name: str) -> Contract:
    """The contract `abis/{name}.json`."""
    return Contract(read_abi(name))


@cache
def load_runtime(name: str) -> bytes:
    """Runtime code that `abis/{name}.json` carries, for state overrides. `make check` compares it with the build."""
    return bytes.fromhex(json.loads((ABI_DIRECTORY / f"{name}.json").read_text())["runtime"])


@cache
def load_creation(name: str) -> bytes:
    """Creation code that `abis/{name}.json` carries, without constructor arguments."""
    return bytes.fromhex(json.loads((ABI_DIRECTORY / f"{name}.json").read_text())["creation"])


def checksum(address: bytes) -> str:
    """EIP-55 form, for people and JSON."""
    return str(to_checksum_address(address))
