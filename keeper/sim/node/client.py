"""Sends many transactions at once from accounts that a development node signs for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import msgspec

from keeper.abi import checksum
from keeper.errors import InvariantBroken, Transient
from keeper.model.chain import hexed
from keeper.model.health import WAD

_GAS = 1_500_000
_DEPLOY_GAS = 15_000_000
_MAX_FEE_WEI = 2_000 * 10**9
_CHUNK = 500
_HEADERS = {"Content-Type": "application/json"}
_MOST_BLOCKS = 200  # that one batch may take to be mined

Rpc = Callable[..., Any]
RpcBatch = Callable[[Sequence[tuple[str, Sequence[Any]]]], list[Any]]


@dataclass(frozen=True, slots=True)
class Tx:
    """A transaction from an unlocked or impersonated account; `to` None deploys."""

    sender: bytes
    to: bytes | None
    data: bytes
    gas: int | None = None


class Node:
    """Sends from accounts that the node signs for.

    `batch` takes (method, params) pairs, answers in order, and raises when one of them is an error.
    """

    def __init__(self, rpc: Rpc, batch: RpcBatch) -> None:
        self.rpc = rpc
        self.batch = batch

    @classmethod
    def at(cls, url: str) -> "Node":
        """The node at an http URL, by JSON-RPC batches."""
        batch = http_batch(url)
        return cls(lambda method, *params: batch([(method, params)])[0], batch)

    def send(self, *txs: Tx) -> list[Mapping[str, Any]]:
        """Receipts of transactions that all have to succeed. Raises InvariantBroken when one reverts."""
        receipts = self.try_send(txs)
        for tx, receipt in zip(txs, receipts, strict=True):
            if int(receipt["status"], 16) != 1:
                raise InvariantBroken(f"set-up transaction 0x{tx.data[:4].hex()} of {checksum(tx.sender)} reverted")
        return receipts

    def try_send(self, txs: Sequence[Tx]) -> list[Mapping[str, Any]]:
        """Receipts, reverted or not, in order. Transactions share blocks whatever the node's mining mode is."""
        with self._mining_by_hand():
            found: list[Mapping[str, Any]] = []
            for start in range(0, len(txs), _CHUNK):
                found += self._send_chunk(txs[start : start + _CHUNK])
            return found

    def _send_chunk(self, txs: Sequence[Tx]) -> list[Mapping[str, Any]]:
        senders = list({tx.sender for tx in txs})
        counts = self.batch([("eth_getTransactionCount", (hexed(sender), "latest")) for sender in senders])
        nonces = {sender: int(count, 16) for sender, count in zip(senders, counts, strict=True)}
        calls = []
        for tx in txs:
            calls.append(("eth_sendTransaction", (_request(tx, nonces[tx.sender]),)))
            nonces[tx.sender] += 1
        hashes = self.batch(calls)
        for _ in range(_MOST_BLOCKS):
            self.rpc("evm_mine")
            receipts = self.batch([("eth_getTransactionReceipt", (tx_hash,)) for tx_hash in hashes])
            if all(receipts):
                return receipts
        raise InvariantBroken(f"set-up transactions were not mined in {_MOST_BLOCKS} blocks")

    @contextmanager
    def _mining_by_hand(self) -> Iterator[None]:
        automine = self.rpc("anvil_getAutomine")
        if automine:
            self.rpc("evm_setAutomine", False)
        try:
            yield
        finally:
            if automine:
                self.rpc("evm_setAutomine", True)


def _request(tx: Tx, nonce: int) -> dict[str, str]:
    request = {
        "from": hexed(tx.sender),
        "data": hexed(tx.data),
        "gas": hex(tx.gas or (_GAS if tx.to else _DEPLOY_GAS)),
        "maxFeePerGas": hex(_MAX_FEE_WEI),
        "maxPriorityFeePerGas": "0x0",
        "nonce": hex(nonce),
    }
    if tx.to:
        request["to"] = hexed(tx.to)
    return request


def impersonate(node: Node, accounts: Sequence[bytes]) -> None:
    """Let the node send for accounts without a key, and give them ether for gas."""
    node.batch([("anvil_impersonateAccount", (hexed(account),)) for account in accounts])
    node.batch([("anvil_setBalance", (hexed(account), hex(1_000 * WAD))) for account in accounts])


def http_batch(url: str) -> RpcBatch:
    """JSON-RPC batches, a connection each. Raises Transient on an error or no answer."""
    parts = urlsplit(url)

    def batch(calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        if not calls:
            return []
        body = [
            {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}
            for id_, (method, params) in enumerate(calls)
        ]
        connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=120)
        try:
            connection.request("POST", parts.path or "/", msgspec.json.encode(body), _HEADERS)
            answers = msgspec.json.decode(connection.getresponse().read())
        except (OSError, HTTPException, msgspec.DecodeError) as error:
            raise Transient(f"the node does not answer: {error}") from None
        finally:
            connection.close()
        for answer in answers:
            if "error" in answer:
                raise Transient(f"{calls[answer['id']][0]}: {answer['error']['message']}")
        return [answer["result"] for answer in sorted(answers, key=lambda answer: int(answer["id"]))]

    return batch
