"""Compares the heads of all nodes: which is the newest, which node is behind, which has other blocks."""

import asyncio
from collections import Counter

from keeper.chain.codec import WireBlock, block_of
from keeper.chain.concurrency import Priority
from keeper.chain.endpoint import Endpoint, served
from keeper.chain.hedge import LateAnswers
from keeper.chain.node_state import NodeState
from keeper.chain.pool import NodePool
from keeper.errors import Transient
from keeper.model.chain import BlockRef, hexed
from keeper.model.events import NODE_DISAGREES, NODE_LAGGING, Emit, Event

_PATIENCE_S = 0.5  # for the other nodes' heads, once one has come

Seen = tuple[BlockRef, BlockRef | None]  # a node's head, and its block at the height that is compared


class Watch:
    """Asks all nodes of a pool for their heads: one request for a single node, else one batch each."""

    def __init__(self, pool: NodePool, emit: Emit) -> None:
        self._pool = pool
        self._emit = emit
        self._compared = -1  # the newest head when block hashes were last compared
        self._looking: set[Endpoint] = set()  # nodes that have not answered yet: not asked again meanwhile
        self._slow = LateAnswers()
        self._odd: dict[Endpoint, Event] = {}  # nodes with other blocks, and the event that reports each

    async def newest(self) -> BlockRef:
        """The newest head among reliable nodes. Raises Transient when no node answers."""
        if len(self._pool.endpoints) == 1:
            return await self._pool.fetch(block_of, WireBlock, "eth_getBlockByNumber", "latest", False)
        best = max(node.health.head for node in self._pool.endpoints)
        deep = max(best - self._pool.policy.reorg, 0) if best > self._compared else None
        seen = await self._round(deep)
        if deep is not None:
            self._compared = best
            olds = [(node, seen[node][1]) for node in self._pool.endpoints if node in seen]
            self._compare({node: old for node, old in olds if old is not None})
        self._place()
        heads = {node: head for node, (head, _) in seen.items()}
        relied_on = {node: head for node, head in heads.items() if node.health.state is NodeState.ALIVE} or heads
        newest = max(head.number for head in relied_on.values())
        return next(relied_on[node] for node in self._pool.in_order() if _has(relied_on, node, newest))

    async def close(self) -> None:
        await self._slow.close()

    async def _round(self, deep: int | None) -> dict[Endpoint, Seen]:
        """Heads by node. Once one has answered, slow nodes are not waited for. Raises Transient when none answers."""
        idle = [node for node in self._pool.endpoints if node not in self._looking]
        asked = {asyncio.create_task(self._look(node, deep)): node for node in idle}
        waiting = set(asked)
        seen: dict[Endpoint, Seen] = {}
        problem = Transient("no node returned its newest block")
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=_PATIENCE_S if seen else None, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            for task in done:
                try:
                    seen[asked[task]] = task.result()
                except Transient as error:
                    problem = error
        self._slow.take(waiting, wanted=True)
        if not seen:
            raise problem
        return seen

    async def _look(self, node: Endpoint, deep: int | None) -> Seen:
        async def ask(endpoint: Endpoint) -> Seen:
            tags = ["latest"] if deep is None else ["latest", hex(deep)]
            requests = [("eth_getBlockByNumber", [tag, False]) for tag in tags]
            head, *old = await endpoint.batch(requests, Priority.SPARE)
            found = served(old[0], WireBlock | None) if old else None  # type: ignore[arg-type]
            return block_of(served(head, WireBlock)), block_of(found) if found is not None else None

        self._looking.add(node)
        try:
            head, old = await self._pool.ask(node, ask)
        finally:
            self._looking.discard(node)
        node.health.head = head.number
        return head, old

    def _compare(self, blocks: dict[Endpoint, BlockRef]) -> None:
        """Note nodes that differ from the majority, or from the first node, at a height that no reorg reaches."""
        if len(blocks) < 2:
            return
        (usual, _), *others = Counter(block.hash for block in blocks.values()).most_common()
        self._odd = {}
        for node, block in blocks.items() if others else ():
            if block.hash != usual:
                message = f"node {node.name} has another hash for block {block.number} than the other nodes"
                fields = {
                    "endpoint": node.name,
                    "height": block.number,
                    "hash": hexed(block.hash),
                    "other_hash": hexed(usual),
                }
                self._odd[node] = Event(NODE_DISAGREES, message, block.number, fields)

    def _place(self) -> None:
        """Update each node's state from its head, and report changes."""
        best = max(node.health.head for node in self._pool.endpoints)
        for node in self._pool.endpoints:
            behind = best - node.health.head
            if not node.health.compare(behind > self._pool.policy.lag, node in self._odd):
                continue
            if node.health.state is NodeState.OUT_OF_SYNC:
                self._emit(self._odd[node])
            elif node.health.state is NodeState.BEHIND:
                message = f"node {node.name} is {behind} blocks behind the newest head"
                self._emit(Event(NODE_LAGGING, message, best, {"endpoint": node.name, "behind": behind}))
        self._pool.announce()


def _has(heads: dict[Endpoint, BlockRef], node: Endpoint, number: int) -> bool:
    return node in heads and heads[node].number == number
