"""Sends transactions and looks for them on the chain. A send is accepted, refused, or of unknown outcome."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from eth_utils.crypto import keccak

from keeper.chain.codec import WireReceipt, fixed, quantity, receipt_of
from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import RpcError, Unreachable
from keeper.chain.node_errors import judge
from keeper.chain.pool import NodePool
from keeper.chain.replies import NOT_SENT, merged
from keeper.errors import Transient
from keeper.model.chain import Receipt, hexed
from keeper.model.intent import SendResult, SendStatus

T = TypeVar("T")
W = TypeVar("W")


class NodeSender:
    """`ChainSender` over a pool of nodes."""

    def __init__(self, pool: NodePool) -> None:
        self._pool = pool
        self._late: set[asyncio.Task[SendResult]] = set()  # sends to nodes that had not answered when another accepted

    async def send_raw(self, raw: bytes) -> SendResult:
        """Send signed bytes to all nodes at once, once each; returns when one accepts them. Does not raise.

        Replies are merged by `replies.merged`; reasons are those of `node_errors.judge`. The other sends go on.
        """
        waiting = {asyncio.create_task(self._send(endpoint, raw)) for endpoint in self._pool.in_order()}
        for task in waiting:
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        replies: list[SendResult] = []
        while waiting and not any(reply.status is SendStatus.ACCEPTED for reply in replies):
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            replies += [task.result() for task in done]
        return merged(replies)

    async def close(self) -> None:
        """Cancel the sends to nodes whose answer was not needed."""
        late = list(self._late)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _send(self, endpoint: Endpoint, raw: bytes) -> SendResult:
        left = False

        async def hand_over(node: Endpoint) -> str:
            nonlocal left
            left = True
            return await node.request_once(str, "eth_sendRawTransaction", hexed(raw))

        try:
            answer = await self._pool.ask(endpoint, hand_over)
            if fixed(answer) == keccak(raw):
                return SendResult(SendStatus.ACCEPTED)
        except RpcError as error:
            return judge(error) if left else SendResult(SendStatus.UNKNOWN, NOT_SENT, str(error))
        except Transient as error:
            reason = "no_answer" if left and not isinstance(error, Unreachable) else NOT_SENT
            return SendResult(SendStatus.UNKNOWN, reason, str(error))
        return SendResult(SendStatus.UNKNOWN, "other_hash", f"{endpoint.name} returned the hash of another transaction")

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        """None while it is not mined on any node. Raises Transient."""

        def parse(found: WireReceipt) -> Receipt | None:
            if fixed(found.transaction_hash) != tx_hash:
                raise Transient("unusable answer: the node returned the receipt of another transaction than asked for")
            return receipt_of(found)

        return await self._first(parse, WireReceipt, "eth_getTransactionReceipt", tx_hash)

    async def transaction(self, tx_hash: bytes) -> Mapping[str, Any] | None:
        """The node's JSON object; None when no node knows the transaction. Raises Transient."""

        def parse(found: dict[str, Any]) -> dict[str, Any]:
            if found.get("hash") != hexed(tx_hash):
                raise Transient("unusable answer: the node returned another transaction than asked for")
            return found

        return await self._first(parse, dict[str, Any], "eth_getTransactionByHash", tx_hash)

    async def nonce(self, account: bytes) -> int:
        """Count of mined transactions. Raises Transient."""
        return await self._pool.fetch(quantity, str, "eth_getTransactionCount", hexed(account), "latest")

    async def _first(self, parse: Callable[[W], T | None], kind: type[W], method: str, tx_hash: bytes) -> T | None:
        """The first answer that is not null, as a node may be behind. Raises Transient when none answers."""

        async def look(endpoint: Endpoint) -> T | None:
            found = await endpoint.request(kind | None, method, hexed(tx_hash))  # type: ignore[arg-type]
            return None if found is None else parse(found)

        problem: Transient | None = None
        nulls = 0
        for endpoint in self._pool.in_order():
            try:
                found = await self._pool.ask(endpoint, look)
            except Transient as error:
                problem = problem or error
                continue
            if found is not None:
                return found
            nulls += 1
        if problem is not None and not nulls:
            raise problem
        return None
