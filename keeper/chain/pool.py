"""The nodes, in order of preference: a read goes to the first that is up, and to a second when that is slow."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any, TypeVar

from keeper.chain.codec import quantity
from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import Unreachable, Unserved
from keeper.chain.handshake import genesis_of, probe
from keeper.chain.hedge import LateAnswers, first_answer, worst
from keeper.chain.node_state import NodeState, Random
from keeper.clock import Clock, SystemClock
from keeper.errors import OperatorError, Transient
from keeper.model.events import CHAIN_READY, CHAIN_UNREADY, NODE_DOWN, NODE_LIMITED, Emit, Event

T = TypeVar("T")
W = TypeVar("W")

_SOONEST_HEDGE_S = 0.02
_FIRST_HEDGE_S = 0.5  # before latencies are measured


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """How nodes are compared, in blocks, and how their pauses are spread."""

    lag: int = 3  # a node further behind the newest head is asked last
    reorg: int = 128  # nodes must agree on blocks that far below the head
    jitter: Random = random.random  # from 0 to 1: spreads the retries of many keepers


class NodePool:
    """Endpoints with the right chain id and one genesis. Those that fail are asked last, or not for a while."""

    def __init__(
        self,
        urls: Sequence[str],
        chain_id: int,
        timeout_s: float,
        emit: Emit,
        clock: Clock | None = None,
        policy: PoolPolicy | None = None,
    ) -> None:
        self.requests: Counter[str] = Counter()
        self.chain_id = chain_id
        self.policy = policy or PoolPolicy()
        self._emit = emit
        self._clock = clock or SystemClock()
        self.endpoints = tuple(
            Endpoint(url, timeout_s, self.requests, clock=self._clock, jitter=self.policy.jitter) for url in urls
        )
        self._dialing = {endpoint: asyncio.Lock() for endpoint in self.endpoints}
        self._genesis: bytes | None = None
        self.late = LateAnswers()
        self._stalled = ""
        self._dialled = False
        self._announced = ""

    # Whether the nodes are reliable.

    @property
    def problem(self) -> str:
        """Why nothing new may be planned on what these nodes say; empty while they are reliable."""
        states = [endpoint.health.state for endpoint in self.endpoints]
        if NodeState.OUT_OF_SYNC in states:
            return "nodes disagree about the chain's history"
        if NodeState.ALIVE not in states:
            return "every node is behind the newest head" if NodeState.BEHIND in states else "no node answers"
        return self._stalled

    def stalled(self, why: str) -> None:
        """Set why the head does not move; empty when it moves again."""
        self._stalled = why
        self.announce()

    def announce(self) -> None:
        """Emit an event when planning stops or resumes."""
        problem = self.problem
        if not self._dialled or bool(problem) == bool(self._announced):
            return
        self._announced = problem
        if problem:
            self._emit(Event(CHAIN_UNREADY, f"planning stopped: {problem}", fields={"reason": problem}))
        else:
            self._emit(Event(CHAIN_READY, "planning resumed: a node is up and in sync"))

    # Reading.

    async def dial(self) -> None:
        """Check every node's chain. Raises OperatorError for a wrong chain, or when no node answers."""
        problems: list[tuple[Endpoint, Transient]] = []
        for endpoint in self.endpoints:
            try:
                await self._recognise(endpoint)
            except Transient as error:
                problems.append((endpoint, error))
        if len(problems) == len(self.endpoints):
            raise OperatorError(
                f"no node of KEEPER_RPC_URLS answers: {'; '.join(str(error) for _, error in problems)}. "
                "Start the node or correct the URL",
                exit_code=4,  # a restart may help, unlike with wrong settings
            )
        for endpoint, problem in problems:
            self._note_failure(endpoint, problem)
        self._dialled = True

    async def request(self, kind: type[T], method: str, *params: Any) -> T:
        """Send a read to the first node that can serve it. Raises Transient when none can."""
        return await self.run(lambda endpoint: endpoint.request(kind, method, *params))

    async def fetch(self, parse: Callable[[W], T], kind: type[W], method: str, *params: Any) -> T:
        """As `request`, with the answer parsed. The next node is asked when `parse` raises Transient."""

        async def parsed(endpoint: Endpoint) -> T:
            return parse(await endpoint.request(kind, method, *params))

        return await self.run(parsed)

    async def run(self, operation: Callable[[Endpoint], Awaitable[T]], hedged: bool = True) -> T:
        """Run a read that takes one or more requests to one node. Raises Transient when no node serves it.

        hedged: a second node is asked as well when the first is slower than 95 % of recent reads.
        """
        worth = self._worth_asking()
        if hedged and len(worth) > 1 and worth[1].health.state is NodeState.ALIVE:
            return await self._hedged(worth, operation)
        problems: list[Transient] = []
        for endpoint in worth:
            try:
                return await self.ask(endpoint, operation)
            except Transient as error:
                problems.append(error)
        raise worst(problems)

    async def _hedged(self, nodes: Sequence[Endpoint], operation: Callable[[Endpoint], Awaitable[T]]) -> T:
        answered: list[Endpoint] = []

        async def ask(endpoint: Endpoint) -> T:
            answer = await self.ask(endpoint, operation)
            answered.append(endpoint)
            return answer

        answer = await first_answer([partial(ask, node) for node in nodes], self._patience_s(nodes), self.late)
        now = self._clock.monotonic()
        for node in takewhile(lambda node: node is not answered[0], nodes):
            node.health.overtaken(now)
        return answer

    async def ask(self, endpoint: Endpoint, operation: Callable[[Endpoint], Awaitable[T]]) -> T:
        """Run an operation on one node, whose chain is checked first if it is new. Raises Transient."""
        if not endpoint.health.connected:
            await self._redial(endpoint)
        started = self._clock.monotonic()
        try:
            answer = await operation(endpoint)
        except Transient as error:
            self._note_failure(endpoint, error)
            raise
        endpoint.latencies.note(self._clock.monotonic() - started)
        endpoint.health.served()
        return answer

    def in_order(self) -> list[Endpoint]:
        """By preference; nodes that failed lately, are behind or disagree come last."""
        now = self._clock.monotonic()
        return sorted(self.endpoints, key=lambda endpoint: endpoint.health.rank(now))

    async def close(self) -> None:
        await self.late.close()
        for endpoint in self.endpoints:
            await endpoint.close()

    def _worth_asking(self) -> list[Endpoint]:
        """In order, without nodes whose circuit is open; among equals busy nodes come last."""
        now = self._clock.monotonic()
        self._revive(now)

        def key(endpoint: Endpoint) -> tuple[int, bool, bool]:
            rank, failed = endpoint.health.rank(now)
            return rank, endpoint.concurrency.busy, failed

        closed = [endpoint for endpoint in self.endpoints if not endpoint.health.wait_s(now)]
        return sorted(closed, key=key) or self.in_order()[:1]

    def _revive(self, now: float) -> None:
        """Dial nodes that were down, while others serve the reads."""
        for node in self.endpoints:
            away = self._dialled and not node.health.connected and not node.health.wait_s(now)
            if away and len(self.endpoints) > 1 and not self._dialing[node].locked():
                self.late.take([asyncio.create_task(self._redial(node))], wanted=True)

    @staticmethod
    def _patience_s(nodes: Sequence[Endpoint]) -> float:
        """The 95th percentile of the fastest node, in seconds."""
        return max(min(node.latencies.p95(_FIRST_HEDGE_S) for node in nodes), _SOONEST_HEDGE_S)

    def _note_failure(self, endpoint: Endpoint, error: Transient) -> None:
        if isinstance(error, Unserved) and endpoint.health.connected:
            return
        if not endpoint.health.failures:
            self._down(endpoint, str(error))
        endpoint.health.failed(self._clock.monotonic(), isinstance(error, Unreachable))
        self.announce()

    def _down(self, endpoint: Endpoint, problem: str) -> None:
        fields = {"endpoint": endpoint.name, "error": problem}
        message = f"node {endpoint.name} failed: {problem.removeprefix(f'{endpoint.name}: ')}"
        self._emit(Event(NODE_DOWN, message, fields=fields))

    # Which chain they serve.

    async def _redial(self, endpoint: Endpoint) -> None:
        """Check a node's chain again, unless its circuit is open. Raises Transient."""
        health = endpoint.health
        async with self._dialing[endpoint]:
            if health.connected:
                return
            before = health.state
            if wait_s := health.wait_s(self._clock.monotonic()):
                raise Transient(f"node {endpoint.name} is {health.state}: next try in {wait_s:.1f} s")
            try:
                await self._recognise(endpoint)
            except OperatorError as error:
                if before is not NodeState.WRONG_CHAIN:
                    self._down(endpoint, str(error))
                health.refused(self._clock.monotonic())
                raise Transient(str(error)) from None
            except Transient as error:
                self._note_failure(endpoint, error)
                raise
        self.announce()

    async def _recognise(self, endpoint: Endpoint) -> None:
        """Check chain id and genesis, and find out what `eth_call` supports. Raises OperatorError for another chain."""
        endpoint.health.dial()
        chain_id = quantity(await endpoint.request(str, "eth_chainId"))
        if chain_id != self.chain_id:
            raise OperatorError(
                f"{endpoint.name} serves chain {chain_id}, KEEPER_CHAIN_ID is {self.chain_id}: correct one of them"
            )
        genesis = await genesis_of(endpoint)
        if self._genesis is not None and genesis is not None and genesis != self._genesis:
            raise OperatorError(
                f"{endpoint.name} has another genesis block than the other nodes of KEEPER_RPC_URLS: remove one of them"
            )
        self._genesis = self._genesis or genesis
        before = endpoint.abilities.missing
        await probe(endpoint)
        if (missing := endpoint.abilities.missing) and missing != before:
            message = (
                f"node {endpoint.name}: contracts can tell its simulations from transactions by {', '.join(missing)}"
            )
            self._emit(Event(NODE_LIMITED, message, fields={"endpoint": endpoint.name, "missing": list(missing)}))
        endpoint.health.recognised()
        endpoint.health.served()
