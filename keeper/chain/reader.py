"""Reads for the other stages: blocks, logs, many views at once, simulations. Each is pinned to a block hash."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from keeper.chain import bulk
from keeper.chain.budget import Priority
from keeper.chain.endpoint import Endpoint, served
from keeper.chain.errors import RpcError, StateMissing, Unserved
from keeper.chain.logs import LogReader
from keeper.chain.pool import Pool
from keeper.chain.verdicts import reverted
from keeper.chain.wire import WireBlock, block_of, octets, quantity
from keeper.errors import Transient
from keeper.model.chain import BlockRef, Call, CallResult, Log, LogFilter, hexed

_MOST_CALLS = 512
_MOST_BYTES = 200_000
_TRIES = 3  # of a read that was answered as of another block
_MOST_PLAIN_CALLS = 100
Pinned = dict[str, str]


class NodeReader:
    """`ChainReader` over a pool of nodes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._logs = LogReader(pool)
        self._most_calls = _MOST_CALLS

    async def head(self) -> BlockRef:
        return await self._pool.fetch(block_of, WireBlock, "eth_getBlockByNumber", "latest", False)

    async def block_by_number(self, number: int) -> BlockRef:
        return await self._pool.run(lambda endpoint: _block(endpoint, "eth_getBlockByNumber", number=number))

    async def block_by_hash(self, block_hash: bytes) -> BlockRef:
        return await self._pool.run(lambda endpoint: _block(endpoint, "eth_getBlockByHash", block_hash=block_hash))

    async def logs_at(self, block: BlockRef, wanted: LogFilter) -> list[Log]:
        return await self._logs.at(block, wanted)

    def logs_between(self, first: int, last: int, wanted: LogFilter) -> AsyncIterator[list[Log]]:
        return self._logs.between(first, last, wanted)

    async def read(self, block: BlockRef, calls: Sequence[Call]) -> list[CallResult]:
        """Results in the order of the calls; one request while the calls fit into one, whatever their number."""
        results: list[CallResult] = []
        while len(results) < len(calls):
            chunk = _first_of(calls[len(results) : len(results) + self._most_calls])
            read = await self._pool.run(partial(_read, block=block, calls=chunk))
            if read is None:
                self._most_calls = max(len(chunk) // 2, 1)
            else:
                results += read
        return results

    async def call(
        self, call: Call, sender: bytes, block: BlockRef, timestamp: int | None = None, gas: int | None = None
    ) -> CallResult:
        """Simulate a transaction in the block after `block`, at `timestamp`, where the node can override a block's time
        and number; else as part of `block` itself."""
        request = {"from": hexed(sender), "to": hexed(call.to), "data": hexed(call.data)}
        if gas is not None:
            request["gas"] = hex(gas)

        async def simulate(endpoint: Endpoint) -> CallResult:
            at_time = timestamp is not None and endpoint.abilities.time_override
            next_block = {"time": hex(timestamp or 0), "number": hex(block.number + 1)}
            return await _call(endpoint, request, block, *([{}, next_block] if at_time else []))

        return await self._pool.run(simulate)

    async def balance(self, account: bytes, block: BlockRef | None = None) -> int:
        where = _pinned(block) if block else "latest"
        return await self._pool.fetch(quantity, str, "eth_getBalance", hexed(account), where)

    async def code(self, address: bytes) -> bytes:
        return await self._pool.fetch(octets, str, "eth_getCode", hexed(address), "latest")


def _first_of(calls: Sequence[Call]) -> Sequence[Call]:
    """As many as one request carries: calldata costs gas, also in an `eth_call`."""
    sizes = accumulate(len(call.data) for call in calls)
    return calls[: max(sum(1 for size in sizes if size <= _MOST_BYTES), 1)]


def _pinned(block: BlockRef) -> Pinned:
    return {"blockHash": hexed(block.hash)}


async def _block(
    endpoint: Endpoint, method: str, *, number: int | None = None, block_hash: bytes | None = None
) -> BlockRef:
    which = hexed(block_hash) if block_hash is not None else hex(number or 0)
    found = await endpoint.request(WireBlock | None, method, which, False)  # type: ignore[arg-type]
    if found is None:
        raise Unserved(f"{endpoint.name} does not have block {which}")
    block = block_of(found)
    if number not in (None, block.number) or block_hash not in (None, block.hash):
        raise Transient(f"{endpoint.name}: unusable answer: another block than {which}")
    return block


async def _call(endpoint: Endpoint, request: dict[str, str], block: BlockRef, *overrides: Any) -> CallResult:
    try:
        answer = await endpoint.request(str, "eth_call", request, _pinned(block), *overrides)
    except RpcError as error:
        if StateMissing.says(error):
            raise StateMissing(str(error)) from None
        if (verdict := reverted(error)) is None:
            raise
        return verdict
    return CallResult(True, octets(answer))


async def _read(endpoint: Endpoint, block: BlockRef, calls: Sequence[Call]) -> list[CallResult] | None:
    """None when one `eth_call` cannot carry so many."""
    if not endpoint.abilities.code_override:
        return await _read_plainly(endpoint, block, calls)
    request = {"to": hexed(bulk.READER), "data": hexed(bulk.pack([*calls, bulk.clock()]))}
    for _ in range(_TRIES):
        answer = await _call(endpoint, request, block, bulk.overrides())
        if not answer.ok:  # the reader itself never reverts: it ran out of gas
            return None if len(calls) > 1 else await _read_plainly(endpoint, block, calls)
        *results, clock = bulk.unpack(answer.data, len(calls) + 1)
        if _ran_in(block, clock):
            break
    else:
        raise Unserved(f"{endpoint.name} answered as of another block than {block}")
    # A call that failed without a word may only have been left without gas by those before it: ask it alone.
    mute = [index for index, result in enumerate(results) if not result.ok and not result.data]
    if mute:
        alone = await _read_plainly(endpoint, block, [calls[index] for index in mute])
        for index, result in zip(mute, alone, strict=True):
            results[index] = result
    return results


def _ran_in(block: BlockRef, clock: CallResult) -> bool:
    """Whether a bulk read saw the block's own time. A node may be between two blocks, or not honour the hash; one that
    was left without gas for this says nothing. Genesis has a time of its own in some nodes."""
    return not clock.ok or block.number == 0 or int.from_bytes(clock.data, "big") == block.timestamp


async def _read_plainly(endpoint: Endpoint, block: BlockRef, calls: Sequence[Call]) -> list[CallResult]:
    """One `eth_call` for each, in JSON-RPC batches."""
    results: list[CallResult] = []
    for start in range(0, len(calls), _MOST_PLAIN_CALLS):
        requests = [
            ("eth_call", [{"to": hexed(call.to), "data": hexed(call.data)}, _pinned(block)])
            for call in calls[start : start + _MOST_PLAIN_CALLS]
        ]
        for answer in await endpoint.batch(requests, Priority.BLOCK):
            if isinstance(answer, RpcError) and StateMissing.says(answer):
                raise StateMissing(str(answer))
            verdict = reverted(answer) if isinstance(answer, RpcError) else None
            results.append(verdict or CallResult(True, octets(served(answer, str))))
    return results
