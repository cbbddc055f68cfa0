"""Reads for the other stages: blocks, logs, many views at once, simulations. Each is pinned to a block hash."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from itertools import accumulate, islice
from typing import Any

from keeper.chain import multicall
from keeper.chain.codec import WireBlock, block_of, octets, quantity
from keeper.chain.concurrency import Priority
from keeper.chain.endpoint import Endpoint, served
from keeper.chain.errors import RpcError, StateMissing, Unserved
from keeper.chain.logs import LogReader
from keeper.chain.node_errors import reverted, unfunded
from keeper.chain.pool import NodePool
from keeper.chain.transactions import sent_by
from keeper.errors import Transient
from keeper.model.chain import BlockRef, Call, CallResult, Log, LogFilter, hexed
from keeper.model.fees import CallFees

_MOST_CALLS = 512
_MOST_BYTES = 200_000
_TRIES = 3  # of a read that was answered for another block
_MOST_PLAIN_CALLS = 100
_WORD = 32
Pinned = dict[str, str]


class NodeReader:
    """`ChainReader` over a pool of nodes."""

    def __init__(self, pool: NodePool) -> None:
        self._pool = pool
        self._logs = LogReader(pool)
        self._most_calls = _MOST_CALLS
        self._codes: dict[bytes, bytes] = {}  # of contracts whose storage was read

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
        """Results in the order of the calls; one request for as many calls as fit into one."""
        results: list[CallResult] = []
        while len(results) < len(calls):
            chunk = _first_of(calls[len(results) : len(results) + self._most_calls])
            await self._learn_codes(chunk)
            read = await self._pool.run(partial(_read, block=block, calls=chunk, codes=self._codes))
            if read is None:
                self._most_calls = max(len(chunk) // 2, 1)
            else:
                results += read
        return results

    async def _learn_codes(self, calls: Sequence[Call]) -> None:
        """Read the code of contracts whose storage is read, once: code at an address never changes."""
        for contract in {call.to for call in calls if call.storage} - self._codes.keys():
            if code := await self.code(contract):
                self._codes[contract] = code
            else:
                raise Transient(f"no code at 0x{contract.hex()}, whose storage is to be read")

    async def call(
        self,
        call: Call,
        sender: bytes,
        block: BlockRef,
        timestamp: int | None = None,
        gas: int | None = None,
        fees: CallFees | None = None,
    ) -> CallResult:
        """Simulate a transaction in the block after `block`, at `timestamp`, where the node can override a block's time
        and number; else as part of `block` itself. With fees the sender must be able to pay for the gas."""
        request = {"from": hexed(sender), "to": hexed(call.to), "data": hexed(call.data), "value": "0x0"}
        if gas is not None:
            request["gas"] = hex(gas)

        async def simulate(endpoint: Endpoint) -> CallResult:
            able = endpoint.abilities
            overrides = able.overrides(sender, block, timestamp, fees)
            return await _call(endpoint, request | able.fields(fees, block), block, *overrides)

        return await self._pool.run(simulate)

    async def estimate(self, sender: bytes, to: bytes, data: bytes) -> int:
        """Gas that a transaction takes now, `to` empty to create a contract. Raises RpcError when it reverts."""
        request = {"from": hexed(sender), "data": hexed(data), **({"to": hexed(to)} if to else {})}
        return await self._pool.fetch(quantity, str, "eth_estimateGas", request)

    async def balance(self, account: bytes, block: BlockRef | None = None) -> int:
        where = _pinned(block) if block else "latest"
        return await self._pool.fetch(quantity, str, "eth_getBalance", hexed(account), where)

    async def code(self, address: bytes) -> bytes:
        return await self._pool.fetch(octets, str, "eth_getCode", hexed(address), "latest")

    async def nonce(self, account: bytes, block: BlockRef) -> int:
        return await self._pool.fetch(quantity, str, "eth_getTransactionCount", hexed(account), _pinned(block))

    async def sent_by(self, account: bytes, nonces: Collection[int], after: int, last: int) -> list[bytes]:
        return await sent_by(self._pool, account, nonces, after, last)


def _first_of(calls: Sequence[Call]) -> Sequence[Call]:
    """As many calls as fit into one request: calldata costs gas, also in an `eth_call`."""
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
        raise Transient(f"{endpoint.name}: unusable answer: not block {which}")
    return block


async def _call(endpoint: Endpoint, request: Mapping[str, Any], block: BlockRef, *overrides: Any) -> CallResult:
    try:
        answer = await endpoint.request(str, "eth_call", request, _pinned(block), *overrides)
    except RpcError as error:
        if StateMissing.says(error):
            raise StateMissing(str(error)) from None
        if (verdict := reverted(error)) is not None:
            return verdict
        if "maxFeePerGas" in request and unfunded(error):
            return CallResult(ok=False, data=b"", unfunded=True)
        raise
    return CallResult(True, octets(answer))


async def _read(
    endpoint: Endpoint, block: BlockRef, calls: Sequence[Call], codes: Mapping[bytes, bytes]
) -> list[CallResult] | None:
    """None when so many calls need more gas than one `eth_call` has. codes: of contracts whose storage is read."""
    if not endpoint.abilities.code_override:
        return await _read_plainly(endpoint, block, calls)
    overrides = multicall.overrides({call.to: codes[call.to] for call in calls if call.storage}, calls)
    request = {"to": hexed(multicall.READER), "data": hexed(multicall.pack([*calls, multicall.clock()]))}
    for _ in range(_TRIES):
        answer = await _call(endpoint, request, block, overrides)
        if not answer.ok:  # the bulk reader never reverts: it ran out of gas
            return None if len(calls) > 1 else await _read_plainly(endpoint, block, calls)
        *results, clock = multicall.unpack(answer.data, len(calls) + 1)
        if _ran_in(block, clock):
            break
    else:
        raise Unserved(f"{endpoint.name} answered for another block than {block}")
    # A call that failed without revert data may have run out of gas that earlier calls used: send it alone.
    mute = [index for index, result in enumerate(results) if not result.ok and not result.data]
    if len(calls) == 1 and calls[0].code:
        return results  # it was alone
    alone = await _ask_alone(endpoint, block, [calls[index] for index in mute], codes)
    for index, result in zip(mute, alone, strict=True):
        results[index] = result
    return results


async def _ask_alone(
    endpoint: Endpoint, block: BlockRef, calls: Sequence[Call], codes: Mapping[bytes, bytes]
) -> list[CallResult]:
    """Each call by itself: without the bulk reader, except calls that carry code of their own."""
    plain = iter(await _read_plainly(endpoint, block, [call for call in calls if not call.code]))
    own = [await _read(endpoint, block, [call], codes) if call.code else None for call in calls]
    return [found[0] if found else next(plain) for found in own]


def _ran_in(block: BlockRef, clock: CallResult) -> bool:
    """Whether a bulk read saw the block's timestamp: a node may be between two blocks, or ignore the block hash.

    True when there was no gas left to tell, and for genesis, whose timestamp differs in some nodes.
    """
    return not clock.ok or block.number == 0 or int.from_bytes(clock.data, "big") == block.timestamp


async def _read_plainly(endpoint: Endpoint, block: BlockRef, calls: Sequence[Call]) -> list[CallResult]:
    """One request for each view and each slot, in JSON-RPC batches."""
    requests = [request for call in calls for request in _requests(call, block)]
    answers: list[Any] = []
    for start in range(0, len(requests), _MOST_PLAIN_CALLS):
        answers += await endpoint.batch(requests[start : start + _MOST_PLAIN_CALLS], Priority.BLOCK)
    for answer in answers:
        if isinstance(answer, RpcError) and StateMissing.says(answer):
            raise StateMissing(str(answer))
    taken = iter(answers)
    return [_result(call, list(islice(taken, len(_requests(call, block))))) for call in calls]


def _requests(call: Call, block: BlockRef) -> list[tuple[str, list[Any]]]:
    to = hexed(call.to)
    if not call.storage:
        return [("eth_call", [{"to": to, "data": hexed(call.data)}, _pinned(block)])]
    slots = [call.data[at : at + _WORD] for at in range(0, len(call.data), _WORD)]
    return [("eth_getStorageAt", [to, hexed(slot), _pinned(block)]) for slot in slots]


def _result(call: Call, answers: list[Any]) -> CallResult:
    if call.storage:
        return CallResult(True, b"".join(octets(served(answer, str)).rjust(_WORD, b"\0") for answer in answers))
    [answer] = answers
    verdict = reverted(answer) if isinstance(answer, RpcError) else None
    return verdict or CallResult(True, octets(served(answer, str)))
