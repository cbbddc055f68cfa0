"""The nodes, in order of preference: reads go to the first that gives a usable answer, soon."""

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
from keeper.model.events import CHAIN_READY, CHAIN_UNREADY, NODE_DOWN, Emit, Event

T = TypeVar("T")
W = TypeVar("W")

_SOONEST_HEDGE_S = 0.02
_FIRST_HEDGE_S = 0.5  # before it is known how fast the nodes are


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """How nodes are compared, in blocks, and how their pauses are spread."""

    lag: int = 3  # a node further behind the newest head is asked last
    reorg: int = 128  # below the head by so much, two nodes may not differ
    jitter: Random = random.random  # from 0 to 1, so that many keepers do not come back to a node at the same moment


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

    # Whether what they say can be acted on.

    @property
    def problem(self) -> str:
        """Why nothing new may be decided on what these nodes say; empty while all is well."""
        states = [endpoint.health.state for endpoint in self.endpoints]
        if NodeState.OUT_OF_SYNC in states:
            return "nodes disagree about the chain's history"
        if NodeState.ALIVE not in states:
            return "every node is behind" if NodeState.BEHIND in states else "no node answers"
        return self._stalled

    def stalled(self, why: str) -> None:
        """The head stands still; empty: it moves again."""
        self._stalled = why
        self.announce()

    def announce(self) -> None:
        """Say so when it became ready, or no longer is."""
        problem = self.problem
        if not self._dialled or bool(problem) == bool(self._announced):
            return
        self._announced = problem
        if problem:
            self._emit(Event(CHAIN_UNREADY, f"nothing new is planned: {problem}", fields={"reason": problem}))
        else:
            self._emit(Event(CHAIN_READY, "the chain can be read"))

    # Reading.

    async def dial(self) -> None:
        """Ask every node who it is. Raises OperatorError for a wrong chain, or when none answers."""
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
        """A read, from the first node that can serve it. Raises Transient when none can."""
        return await self.run(lambda endpoint: endpoint.request(kind, method, *params))

    async def fetch(self, parse: Callable[[W], T], kind: type[W], method: str, *params: Any) -> T:
        """As `request`, for what `parse` makes of the answer: a node whose answer it refuses has not served it."""

        async def parsed(endpoint: Endpoint) -> T:
            return parse(await endpoint.request(kind, method, *params))

        return await self.run(parsed)

    async def run(self, operation: Callable[[Endpoint], Awaitable[T]], hedged: bool = True) -> T:
        """A read that may take several requests to one and the same node. Raises Transient when none serves it.

        hedged: a second node is asked as well when the first takes longer than nearly all reads lately.
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
        """One node, once it has shown that it is of our chain. Raises Transient."""
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
        """By preference: those that failed lately or cannot be relied on at the end."""
        now = self._clock.monotonic()
        return sorted(self.endpoints, key=lambda endpoint: endpoint.health.rank(now))

    async def close(self) -> None:
        await self.late.close()
        for endpoint in self.endpoints:
            await endpoint.close()

    def _worth_asking(self) -> list[Endpoint]:
        """In order, busy ones after others that are as good, without those whose circuit is open."""
        now = self._clock.monotonic()
        self._revive(now)

        def key(endpoint: Endpoint) -> tuple[int, bool, bool]:
            rank, failed = endpoint.health.rank(now)
            return rank, endpoint.concurrency.busy, failed

        closed = [endpoint for endpoint in self.endpoints if not endpoint.health.wait_s(now)]
        return sorted(closed, key=key) or self.in_order()[:1]

    def _revive(self, now: float) -> None:
        """Dial nodes that were away, beside the reads that others serve."""
        for node in self.endpoints:
            away = self._dialled and not node.health.connected and not node.health.wait_s(now)
            if away and len(self.endpoints) > 1 and not self._dialing[node].locked():
                self.late.take([asyncio.create_task(self._redial(node))], wanted=True)

    @staticmethod
    def _patience_s(nodes: Sequence[Endpoint]) -> float:
        """Seconds that nearly all answers of the fastest node take."""
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
        self._emit(Event(NODE_DOWN, f"{endpoint.name} does not answer: {problem}", fields=fields))

    # Who they are.

    async def _redial(self, endpoint: Endpoint) -> None:
        """Ask who it is, unless the circuit is open. Raises Transient."""
        health = endpoint.health
        async with self._dialing[endpoint]:
            if health.connected:
                return
            before = health.state
            if wait_s := health.wait_s(self._clock.monotonic()):
                raise Transient(f"{endpoint.name} is {health.state}: not asked for another {wait_s:.1f} s")
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
        """Chain id, genesis, and what its `eth_call` can do. Raises OperatorError for another chain's node."""
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
        await probe(endpoint)
        endpoint.health.recognised()
        endpoint.health.served()
