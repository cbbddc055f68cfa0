"""Contracts built by npm packages or forge: read at run time, linked, deployed in batches, called by signature."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import rlp
from eth_abi.abi import decode, encode
from eth_abi.grammar import parse
from eth_utils.abi import collapse_if_tuple, function_signature_to_4byte_selector
from eth_utils.crypto import keccak

from keeper.errors import OperatorError
from keeper.model.chain import Log, hexed, unhexed
from keeper.sim.node.client import Node, Tx

ROOT = Path(__file__).parents[3]


def package_file(package: str, *parts: str) -> Path:
    """A file of an npm package of the checkout. Raises OperatorError when it is not there."""
    path = ROOT.joinpath("node_modules", package, *parts)
    if not path.exists():
        raise OperatorError(f"{path} is missing: run `npm ci` in the checkout")
    return path


@dataclass(frozen=True, slots=True)
class Artifact:
    """A built contract. `code`: creation code in hex, `links`: where each library's address goes, in bytes."""

    code: str
    constructor: tuple[str, ...]
    links: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def creation(self, *args: Any, libraries: Mapping[str, bytes] | None = None) -> bytes:
        """Creation code with its libraries linked, and its arguments encoded."""
        code = self.code
        for name, starts in self.links.items():
            address = (libraries or {})[name].hex()
            for start in starts:
                code = code[: 2 * start] + address + code[2 * start + 40 :]
        return bytes.fromhex(code) + encode(self.constructor, args)


def artifact_of(document: Mapping[str, Any]) -> Artifact:
    """From what hardhat (`bytecode`, `linkReferences`), forge (`bytecode.object`) or solc (`evm.bytecode`) writes."""
    built = document.get("bytecode") or document["evm"]["bytecode"]
    if isinstance(built, str):
        code, references = built, document.get("linkReferences", {})
    else:
        code, references = built["object"], built.get("linkReferences", {})
    links = {
        library: tuple(place["start"] for place in places)
        for libraries in references.values()
        for library, places in libraries.items()
    }
    types = [entry for entry in document["abi"] if entry["type"] == "constructor"]
    return Artifact(
        code.removeprefix("0x"), tuple(collapse_if_tuple(one) for entry in types for one in entry["inputs"]), links
    )


@cache
def packaged(package: str, *parts: str) -> Artifact:
    """An artifact file of an npm package."""
    return artifact_of(json.loads(package_file(package, *parts).read_text()))


@cache
def forged(name: str) -> Artifact:
    """A contract of this checkout. Raises OperatorError when it was not built."""
    path = ROOT / "contracts" / "out" / f"{name}.sol" / f"{name}.json"
    if not path.is_file():
        raise OperatorError(f"{path} is missing: run `make contracts`")
    return artifact_of(json.loads(path.read_text()))


# Calls by signature: `supply(address,uint256,address,uint16)`. Encoded by eth_abi itself: a call through a contract of
# web3 takes 13 to 30 times as long, and importing web3 longer than deploying any of the markets.


@cache
def _parsed(signature: str) -> tuple[bytes, tuple[str, ...]]:
    """Selector and types of the arguments."""
    types = signature[signature.index("(") :]
    found = () if types == "()" else tuple(one.to_type_str() for one in parse(types).components)
    return function_signature_to_4byte_selector(signature), found


def calldata(signature: str, *args: Any) -> bytes:
    """Calldata of a function; addresses are raw bytes."""
    selector, types = _parsed(signature)
    return selector + encode(types, args)


def ask(
    node: Node, to: bytes, signature: str, *args: Any, returns: Sequence[str] = ("uint256",), block: int | None = None
) -> Any:
    """What a view returns at a block, or at the newest: one value, or a tuple of several; addresses as raw bytes."""
    request = {"to": hexed(to), "data": hexed(calldata(signature, *args))}
    values = decode(returns, unhexed(node.rpc("eth_call", request, "latest" if block is None else hex(block))))
    found = tuple(unhexed(value) if kind == "address" else value for kind, value in zip(returns, values, strict=True))
    return found[0] if len(found) == 1 else found


def log_of(found: Mapping[str, Any]) -> Log:
    """A log from the node's JSON."""
    return Log(
        address=unhexed(found["address"]),
        topics=tuple(unhexed(topic) for topic in found["topics"]),
        data=unhexed(found["data"]),
        block_number=int(found["blockNumber"], 16),
        block_hash=unhexed(found["blockHash"]),
        index=int(found["logIndex"], 16),
        tx_hash=unhexed(found["transactionHash"]),
    )


class TxBatch:
    """Transactions of one account, sent at once. Addresses of new contracts are computed before they exist."""

    def __init__(self, node: Node, sender: bytes) -> None:
        self.sender = sender
        self._node = node
        self._txs: list[Tx] = []
        self._nonce = int(node.rpc("eth_getTransactionCount", hexed(sender), "latest"), 16)

    def create(self, artifact: Artifact, *args: Any, libraries: Mapping[str, bytes] | None = None) -> bytes:
        """Deploy a contract; its address."""
        address = created(self.sender, self._nonce + len(self._txs))
        self._txs.append(Tx(self.sender, None, artifact.creation(*args, libraries=libraries)))
        return address

    def upcoming(self, count: int) -> list[bytes]:
        """Addresses of the next contracts, if no other transaction comes first."""
        return [created(self.sender, self._nonce + len(self._txs) + ahead) for ahead in range(count)]

    def call(self, to: bytes, signature: str, *args: Any, gas: int | None = None) -> None:
        """Call a function of a contract, which need not exist yet."""
        self._txs.append(Tx(self.sender, to, calldata(signature, *args), gas))

    def send(self) -> int:
        """Mine all queued transactions; returns their first block. Raises InvariantBroken when one reverts."""
        with _roomy_blocks(self._node):
            receipts = self._node.send(*self._txs)
        self._nonce += len(self._txs)
        self._txs.clear()
        return int(receipts[0]["blockNumber"], 16)


@contextmanager
def _roomy_blocks(node: Node) -> Iterator[None]:
    """Raise the block gas limit for a batch: in a full block, anvil tries later transactions early and drops them."""
    limit = node.rpc("anvil_nodeInfo")["environment"]["gasLimit"]
    node.rpc("evm_setBlockGasLimit", hex(2**40))
    try:
        yield
    finally:
        node.rpc("evm_setBlockGasLimit", limit)


def created(sender: bytes, nonce: int) -> bytes:
    """The address of the contract that `sender` creates with `nonce` (a contract's first is 1)."""
    return bytes(keccak(rlp.encode([sender, nonce])))[-20:]
