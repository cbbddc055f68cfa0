"""Sending and following transactions. A reply is evidence, not truth: accepted, refused, or unknown."""

from collections.abc import Mapping
from typing import Any, TypeVar

from eth_utils.crypto import keccak

from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import RpcError
from keeper.chain.pool import Pool
from keeper.chain.verdicts import judge
from keeper.chain.wire import WireReceipt, fixed, quantity, receipt_of
from keeper.errors import Transient
from keeper.model.chain import Receipt, hexed
from keeper.model.intent import SendResult, SendStatus

T = TypeVar("T")


class NodeSender:
    """`ChainSender` over a pool of nodes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def send_raw(self, raw: bytes) -> SendResult:
        """Hand over signed bytes to one node after another, once each, until one has them. Does not raise.

        Refused only when every node that could be asked refused; reasons are those of `verdicts.judge`.
        """
        results: list[SendResult] = []
        for endpoint in self._pool.in_order():
            result = await self._send(endpoint, raw)
            if result.status is SendStatus.ACCEPTED:
                return result
            results.append(result)
        unsure = [result for result in results if result.status is SendStatus.UNKNOWN]
        return (unsure or results)[0]

    async def _send(self, endpoint: Endpoint, raw: bytes) -> SendResult:
        try:
            answer = await self._pool.ask(
                endpoint, lambda node: node.request_once(str, "eth_sendRawTransaction", hexed(raw))
            )
            if fixed(answer) == keccak(raw):
                return SendResult(SendStatus.ACCEPTED)
        except RpcError as error:
            return judge(error)
        except Transient as error:
            return SendResult(SendStatus.UNKNOWN, "no_answer", str(error))
        return SendResult(SendStatus.UNKNOWN, "other_hash", f"{endpoint.name} answered another transaction's hash")

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        """None while no node has it mined. Raises Transient."""
        found = await self._first(WireReceipt, "eth_getTransactionReceipt", hexed(tx_hash))
        if found is not None and fixed(found.transaction_hash) != tx_hash:
            raise Transient(f"unusable answer: another receipt than 0x{tx_hash.hex()}'s")
        return receipt_of(found) if found else None

    async def transaction(self, tx_hash: bytes) -> Mapping[str, Any] | None:
        """As the node gives it; None when no node knows it. Raises Transient."""
        found = await self._first(dict[str, Any], "eth_getTransactionByHash", hexed(tx_hash))
        if found is not None and found.get("hash") != hexed(tx_hash):
            raise Transient(f"unusable answer: another transaction than 0x{tx_hash.hex()}")
        return found

    async def nonce(self, account: bytes) -> int:
        """Count of mined transactions. Raises Transient."""
        return quantity(await self._pool.request(str, "eth_getTransactionCount", hexed(account), "latest"), 2**64)

    async def _first(self, kind: type[T], method: str, *params: Any) -> T | None:
        """The first node's that has one: a null may come from a node that lags. Raises Transient when none answers."""
        wanted: type[T | None] = kind | None  # type: ignore[assignment]
        problem: Transient | None = None
        nulls = 0
        for endpoint in self._pool.in_order():
            try:
                found = await self._pool.ask(endpoint, lambda node: node.request(wanted, method, *params))
            except Transient as error:
                problem = problem or error
                continue
            if found is not None:
                return found
            nulls += 1
        if problem is not None and not nulls:
            raise problem
        return None
