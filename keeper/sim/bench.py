"""A node whose blocks are mined by hand, read as the keeper reads it: for tests of an adapter beside its contracts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keeper.chain import multicall
from keeper.chain.errors import RpcError
from keeper.model.chain import BlockRef, Call, CallResult, Log, LogFilter, hexed, unhexed
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import log_of
from keeper.sim.node.client import Node, Tx

_MOST_CALLS = 400
_READ_GAS, _CALL_GAS = 3_000_000_000, 30_000_000


def block_ref(found: Mapping[str, Any]) -> BlockRef:
    """A block from the node's JSON."""
    return BlockRef(
        number=int(found["number"], 16),
        hash=unhexed(found["hash"]),
        parent=unhexed(found["parentHash"]),
        timestamp=int(found["timestamp"], 16),
    )


@dataclass(eq=False, repr=False)
class Bench:
    """A node that was started with `mining=False`. Only `mine_at` advances its time."""

    anvil: Anvil
    node: Node
    _codes: dict[bytes, bytes] = field(default_factory=dict, init=False)  # of contracts whose storage is read

    def head(self) -> BlockRef:
        return block_ref(self.anvil.block())

    def mine_at(self, timestamp: int, *txs: Tx) -> list[Mapping[str, Any]]:
        """Mine transactions in one block at a timestamp; receipts, reverted or not."""
        self.anvil.set_next_timestamp(timestamp)
        if txs:
            return self.node.try_send(txs)
        self.anvil.rpc("evm_mine")
        return []

    def logs_of(self, wanted: LogFilter, first: int, last: int) -> list[Log]:
        """Logs of a range of blocks, in order."""
        query = {
            "address": [hexed(address) for address in wanted.addresses],
            "topics": [[hexed(topic) for topic in wanted.topics]] if wanted.topics else [],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        return [log_of(found) for found in self.node.rpc("eth_getLogs", query)]

    def read(
        self, calls: Sequence[Call], block: BlockRef | None = None, timestamp: int | None = None
    ) -> list[CallResult]:
        """Views and storage at a block or the head, as the keeper reads them. `timestamp` replaces the block's time."""
        at = {"blockHash": hexed(block.hash)} if block else "latest"
        time = [] if timestamp is None else [{"time": hex(timestamp)}]
        for contract in {call.to for call in calls if call.storage} - self._codes.keys():
            self._codes[contract] = unhexed(self.node.rpc("eth_getCode", hexed(contract), "latest"))
        found: list[CallResult] = []
        for start in range(0, len(calls), _MOST_CALLS):
            part = calls[start : start + _MOST_CALLS]
            codes = {call.to: self._codes[call.to] for call in part if call.storage}
            request = {"to": hexed(multicall.READER), "data": hexed(multicall.pack(part)), "gas": hex(_READ_GAS)}
            answer = self.node.rpc("eth_call", request, at, multicall.overrides(codes, part), *time)
            found += multicall.unpack(unhexed(answer), len(part))
        return found

    def revert_data(self, sender: bytes, call: Call) -> bytes | None:
        """What a call at the head reverts with; None when it succeeds."""
        request = {"from": hexed(sender), "to": hexed(call.to), "data": hexed(call.data), "gas": hex(_CALL_GAS)}
        try:
            self.anvil.rpc("eth_call", request, "latest")
        except RpcError as error:
            return unhexed(error.data)
        return None
