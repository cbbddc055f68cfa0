"""Which protocols are installed, and the deployment file that says where one lives."""

import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from eth_utils.address import is_address, is_checksum_address

from keeper.errors import OperatorError
from keeper.protocols.base import Deployment, Protocol

GROUP = "keeper.protocols"
_SETTING = "KEEPER_DEPLOYMENT"


def known_protocols() -> dict[str, EntryPoint]:
    """Installed protocols by name. Raises OperatorError when two packages use one name."""
    known: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = known.setdefault(point.name, point)
        if other is not point:  # which of them got the key would depend on the order of installed packages
            packages = " and ".join(sorted(_package(found) for found in (other, point)))
            raise OperatorError(
                f"KEEPER_PROTOCOL: {packages} both provide a protocol named {point.name}: uninstall one of them"
            )
    return known


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


def protocol_class(name: str) -> type[Protocol]:
    """The adapter registered under a name. Raises OperatorError when there is none, or it cannot be loaded."""
    known = known_protocols()
    if name not in known:
        names = ", ".join(sorted(known)) or "none: reinstall the package"
        raise OperatorError(f"KEEPER_PROTOCOL: {name} is not installed; known protocols: {names}")
    try:
        found: type[Protocol] = known[name].load()
    except (ImportError, AttributeError) as error:
        raise OperatorError(f"KEEPER_PROTOCOL: the plug-in {name} cannot be loaded: {error}") from None
    return found


def load_protocol(deployment: Deployment) -> Protocol:
    """The adapter of a deployment. Raises OperatorError."""
    return protocol_class(deployment.protocol)(deployment)


def load_deployment(path: Path, chain_id: int, protocol: str) -> Deployment:
    """Read and check the deployment file against KEEPER_CHAIN_ID and KEEPER_PROTOCOL.

    Raises OperatorError, one line that says what is wrong with the file and what to do.
    """
    wanted = protocol_class(protocol)
    document = _read(path)
    if document.get("protocol") != protocol:
        raise _wrong(path, f"is for protocol {document.get('protocol')!r}, KEEPER_PROTOCOL is {protocol!r}")
    if _natural(path, document, "chain_id") != chain_id:
        raise _wrong(path, f"is for chain {document['chain_id']}, KEEPER_CHAIN_ID is {chain_id}")
    contracts = _contracts(path, document)
    missing = [name for name in wanted.required_contracts if name not in contracts]
    if missing:
        raise _wrong(path, f"has no address of {missing[0]}: add it under `contracts`")
    return Deployment(protocol, chain_id, _natural(path, document, "start_block"), contracts)


def name_contract(path: Path, name: str, address: str) -> None:
    """Add a contract to a deployment file, in one step. Raises OperatorError when that cannot be written."""
    document = _read(path)
    document["contracts"][name] = address
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        beside.chmod(path.stat().st_mode & 0o777)  # the new file has the mode of the old one
        beside.replace(path)
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise _wrong(path, f"cannot be written ({reason}): add `{name}`: {address} under `contracts`") from None


def _wrong(path: Path, problem: str) -> OperatorError:
    return OperatorError(f"{_SETTING}: {path} {problem}")


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise OperatorError(f"{_SETTING}: cannot read {path}: {reason}") from None
    except UnicodeDecodeError:
        raise _wrong(path, "is not a text file") from None
    except json.JSONDecodeError as error:
        raise _wrong(path, f"is not JSON: {error.msg.lower()} in line {error.lineno}") from None
    if not isinstance(document, dict):
        raise _wrong(path, "must hold one JSON object")
    return document


def _natural(path: Path, document: Mapping[str, Any], key: str) -> int:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(
            path, f"needs `{key}`, a whole number" if value is None else f"has a `{key}` that is not a whole number"
        )
    return value


def _contracts(path: Path, document: Mapping[str, Any]) -> dict[str, bytes]:
    contracts = document.get("contracts")
    if not isinstance(contracts, dict):
        raise _wrong(path, "needs `contracts`, an object of names and addresses")
    return {name: _address(path, name, value) for name, value in contracts.items()}


def _address(path: Path, name: str, value: object) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x") or not is_address(value) or _garbled(value):
        raise _wrong(path, f"has no valid address of {name}: {value!r} (20 bytes in hex, with a valid checksum)")
    address = bytes.fromhex(value[2:])
    if not any(address):
        raise _wrong(path, f"has the zero address for {name}")
    return address


def _garbled(address: str) -> bool:
    """Mixed case that is not the address's checksum: a digit may be wrong."""
    digits = address[2:]
    return digits not in (digits.lower(), digits.upper()) and not is_checksum_address(address)
