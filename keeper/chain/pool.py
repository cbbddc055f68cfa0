"""The nodes, in order of preference: reads go to the first that gives a usable answer."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from keeper.chain import bulk
from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import RpcError, Unserved
from keeper.chain.verdicts import is_overload
from keeper.chain.wire import WireBlock, block_of, octets, quantity
from keeper.clock import Clock, SystemClock
from keeper.errors import OperatorError, Transient
from keeper.model.chain import Call, hexed
from keeper.model.events import NODE_DOWN, Emit, Event

T = TypeVar("T")
W = TypeVar("W")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
_CLOCK = b"keeper.clock.probe.1"  # 20 bytes: an address that nobody has the key of
_TIMESTAMP_CODE = "0x4260005260206000f3"  # returns TIMESTAMP
_OTHER_TIME = 0x7FFF_FFFF
_WORD = 32


class Pool:
    """Endpoints that have shown the right chain id and one genesis. One that fails is asked last for a while."""

    def __init__(
        self, urls: Sequence[str], chain_id: int, timeout_s: float, emit: Emit, clock: Clock | None = None
    ) -> None:
        self.requests: Counter[str] = Counter()
        self.chain_id = chain_id
        self.endpoints = tuple(Endpoint(url, timeout_s, self.requests) for url in urls)
        self._emit = emit
        self._clock = clock or SystemClock()
        self._checked: set[Endpoint] = set()
        self._genesis: bytes | None = None
        self._pauses: dict[Endpoint, float] = {}
        self._down_until: dict[Endpoint, float] = {}

    async def dial(self) -> None:
        """Ask every node who it is. Raises OperatorError for a wrong chain, or when none answers."""
        problems: list[tuple[Endpoint, Transient]] = []
        for endpoint in self.endpoints:
            try:
                await self._check(endpoint)
            except Transient as error:
                problems.append((endpoint, error))
        if len(problems) == len(self.endpoints):
            reasons = "; ".join(str(error) for _, error in problems)
            raise OperatorError(
                f"no node of KEEPER_RPC_URLS answers: {reasons}. Start the node or correct the URL",
                exit_code=4,  # a restart may help, unlike with wrong settings
            )
        for endpoint, problem in problems:
            self._note_failure(endpoint, problem)

    async def request(self, kind: type[T], method: str, *params: Any) -> T:
        """A read, from the first node that can serve it. Raises Transient when none can."""
        return await self.run(lambda endpoint: endpoint.request(kind, method, *params))

    async def fetch(self, parse: Callable[[W], T], kind: type[W], method: str, *params: Any) -> T:
        """As `request`, for what `parse` makes of the answer: a node whose answer it refuses has not served it."""

        async def parsed(endpoint: Endpoint) -> T:
            return parse(await endpoint.request(kind, method, *params))

        return await self.run(parsed)

    async def run(self, operation: Callable[[Endpoint], Awaitable[T]]) -> T:
        """A read that may take several requests to one and the same node.

        When no node can, raises what a node said; when none said anything, what was wrong with the first.
        """
        problem: Transient | None = None
        for endpoint in self.in_order():
            try:
                return await self.ask(endpoint, operation)
            except Transient as error:
                if problem is None or (isinstance(error, Unserved) and not isinstance(problem, Unserved)):
                    problem = error
        raise problem or Transient("no node is configured")

    async def ask(self, endpoint: Endpoint, operation: Callable[[Endpoint], Awaitable[T]]) -> T:
        """One node, once it has shown that it is of our chain. Raises Transient."""
        try:
            await self._check(endpoint)
            answer = await operation(endpoint)
        except OperatorError as error:
            self._note_failure(endpoint, error)
            raise Transient(str(error)) from None
        except Transient as error:
            self._note_failure(endpoint, error)
            raise
        self._note_success(endpoint)
        return answer

    def in_order(self) -> list[Endpoint]:
        """By preference, those that failed lately at the end."""
        now = self._clock.monotonic()
        return sorted(self.endpoints, key=lambda endpoint: self._down_until.get(endpoint, 0) > now)

    async def close(self) -> None:
        for endpoint in self.endpoints:
            await endpoint.close()

    def _note_failure(self, endpoint: Endpoint, error: Exception) -> None:
        if isinstance(error, Unserved):
            return
        if endpoint not in self._pauses:
            fields = {"endpoint": endpoint.name, "error": str(error)}
            self._emit(Event(NODE_DOWN, f"{endpoint.name} does not answer: {error}", fields=fields))
        pause = min(self._pauses.get(endpoint, _FIRST_PAUSE_S / 2) * 2, _LONGEST_PAUSE_S)
        self._pauses[endpoint] = pause
        self._down_until[endpoint] = self._clock.monotonic() + pause

    def _note_success(self, endpoint: Endpoint) -> None:
        self._pauses.pop(endpoint, None)
        self._down_until.pop(endpoint, None)

    async def _check(self, endpoint: Endpoint) -> None:
        """Chain id, genesis, and what its `eth_call` can do; once for each endpoint."""
        if endpoint in self._checked:
            return
        chain_id = quantity(await endpoint.request(str, "eth_chainId"))
        if chain_id != self.chain_id:
            raise OperatorError(
                f"{endpoint.name} serves chain {chain_id}, KEEPER_CHAIN_ID is {self.chain_id}: correct one of them"
            )
        genesis = await _genesis(endpoint)
        if self._genesis is not None and genesis is not None and genesis != self._genesis:
            raise OperatorError(
                f"{endpoint.name} has another genesis block than the other nodes of KEEPER_RPC_URLS: remove one of them"
            )
        self._genesis = self._genesis or genesis
        await _probe(endpoint)
        self._checked.add(endpoint)


async def _genesis(endpoint: Endpoint) -> bytes | None:
    """Hash of block 0; None where a node no longer has it."""
    found = await endpoint.request(WireBlock | None, "eth_getBlockByNumber", "0x0", False)  # type: ignore[arg-type]
    return block_of(found).hash if found else None


async def _probe(endpoint: Endpoint) -> None:
    """Whether `eth_call` honours overrides of code and of the block's time: nodes refuse them, or ignore them."""
    time = await _timestamp(endpoint, {"time": hex(_OTHER_TIME)})
    endpoint.abilities.time_override = time == _OTHER_TIME
    if time is None:
        time = await _timestamp(endpoint)
    endpoint.abilities.code_override = time is not None


async def _timestamp(endpoint: Endpoint, *overrides: dict[str, str]) -> int | None:
    """The newest block's time, as code that an override puts there sees it through the bulk reader."""
    request = {"to": hexed(bulk.READER), "data": hexed(bulk.pack([Call(_CLOCK, b"")]))}
    codes = {**bulk.overrides(), hexed(_CLOCK): {"code": _TIMESTAMP_CODE}}
    try:
        answer = octets(await endpoint.request(str, "eth_call", request, "latest", codes, *overrides))
    except RpcError as error:
        if is_overload(error):
            raise
        return None
    if not answer:
        return None
    (result,) = bulk.unpack(answer, 1)
    return int.from_bytes(result.data, "big") if result.ok and len(result.data) == _WORD else None
