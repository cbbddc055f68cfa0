"""`connect` returns a `Chain`: reader, sender and heads over one pool of nodes."""

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from keeper.chain.endpoint import pushes
from keeper.chain.heads import Heads
from keeper.chain.pool import NodePool, PoolPolicy
from keeper.chain.reader import NodeReader
from keeper.chain.sender import NodeSender
from keeper.clock import Clock
from keeper.model.events import Emit

if TYPE_CHECKING:
    from web3 import AsyncWeb3
    from web3.contract import AsyncContract

    from keeper.chain.web3 import PoolProvider


class Chain:
    """A chain behind one or more nodes. Close it after use: `async with await connect(...) as chain`."""

    def __init__(
        self, pool: NodePool, urls: Sequence[str], timeout_s: float, emit: Emit, clock: Clock | None = None
    ) -> None:
        self.chain_id = pool.chain_id
        self.reader = NodeReader(pool)
        self.sender = NodeSender(pool)
        self._pool = pool
        self._streams = [url for url in urls if pushes(url)]
        self._timeout_s = timeout_s
        self._emit = emit
        self._clock = clock
        self._heads: list[Heads] = []

    @property
    def problem(self) -> str:
        """Why nothing new may be planned on what the nodes say; empty while they are reliable."""
        return self._pool.problem

    @property
    def requests(self) -> Counter[str]:
        """How many requests were sent so far, by method."""
        return self._pool.requests

    @property
    def missing(self) -> dict[str, tuple[str, ...]]:
        """By endpoint: by what a contract can tell its simulations from transactions."""
        return {endpoint.name: endpoint.abilities.missing for endpoint in self._pool.endpoints}

    def heads(self, poll_interval_s: float = 1.0) -> Heads:
        """New heads: by subscription where a WebSocket or IPC endpoint is given, else polled."""
        heads = Heads(self._pool, self._streams, poll_interval_s, self._timeout_s, self._emit, self._clock)
        self._heads.append(heads)
        return heads

    def web3(self) -> "AsyncWeb3[PoolProvider]":
        """web3 over the same connections, for cold paths."""
        from keeper.chain.web3 import web3_over

        return web3_over(self._pool)

    def contract(self, address: bytes, name: str) -> "AsyncContract":
        """A contract with the ABI `name` of `abis/`, read through web3: for cold paths."""
        from keeper.chain.web3 import contract_over

        return contract_over(self._pool, address, name)

    async def close(self) -> None:
        """End every task and connection."""
        for heads in self._heads:
            await heads.close()
        await self.sender.close()
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def connect(
    urls: Sequence[str],
    chain_id: int,
    timeout_s: float,
    emit: Emit,
    policy: PoolPolicy | None = None,
    clock: Clock | None = None,
) -> Chain:
    """Connect to nodes, in order of preference. Raises OperatorError when none answers or one serves another chain."""
    pool = NodePool(urls, chain_id, timeout_s, emit, clock, policy)
    try:
        await pool.dial()
    except BaseException:
        await pool.close()
        raise
    return Chain(pool, urls, timeout_s, emit, clock)
