"""Reads logs without missing any: by block hash, checked against the bloom, or by ranges that adapt to the node."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from keeper.chain.bloom import may_contain
from keeper.chain.codec import WireBlock, WireLog, WireReceipt, block_of, logs_in, logs_of, quantity, select
from keeper.chain.concurrency import Shed, asks_to_wait
from keeper.chain.endpoint import Endpoint, served
from keeper.chain.errors import Unreachable
from keeper.chain.pool import NodePool
from keeper.errors import Transient
from keeper.model.chain import BlockRef, Log, LogFilter, hexed

_FIRST_SPAN = 2_000
_WIDEST_SPAN = 100_000
_FEW_LOGS = 5_000
_MANY_LOGS = 20_000
_MOST_WAITS = 8  # in a row, for one page


class LogReader:
    """Reads logs so that an empty answer proves that there are none."""

    def __init__(self, pool: NodePool) -> None:
        self._pool = pool

    async def at(self, block: BlockRef, wanted: LogFilter) -> list[Log]:
        """The logs of one block, in order."""
        logs = await self._pool.run(lambda endpoint: _logs_of_block(endpoint, block, wanted))
        if logs or not may_contain(block.bloom, wanted):
            return logs
        return await self._confirm_none(block, wanted)

    async def _confirm_none(self, block: BlockRef, wanted: LogFilter) -> list[Log]:
        """The bloom allows logs and a node returned none: the node may not have indexed the block yet.

        Take the logs of any node that has some, else those of the block's receipts, else ask once more.
        """
        for endpoint in self._pool.in_order():
            with suppress(Transient):
                if logs := await self._pool.ask(endpoint, lambda node: _logs_of_block(node, block, wanted)):
                    return logs
        try:
            return await self._pool.run(lambda endpoint: _logs_of_receipts(endpoint, block, wanted))
        except Transient:
            return await self._pool.run(lambda endpoint: _logs_of_block(endpoint, block, wanted))

    async def between(self, first: int, last: int, wanted: LogFilter) -> AsyncIterator[list[Log]]:
        """Logs of canonical blocks first..last, in order, in pages. Raises Transient when one block cannot be served.

        A range that a node refuses is halved, down to one block; ranges grow again where there are few logs.
        """
        span = _FIRST_SPAN
        waits = 0
        while first <= last:
            end = min(first + span - 1, last)
            try:
                logs = await self._page(first, end, wanted)
            except Transient as error:
                if asks_to_wait(error) and waits < _MOST_WAITS:
                    waits += 1  # the node's concurrency limit waits
                    continue
                if first == end or isinstance(error, Unreachable | Shed) or asks_to_wait(error):
                    raise
                span = (end - first + 1) // 2
                continue
            yield logs
            first, waits = end + 1, 0
            if len(logs) > _MANY_LOGS:
                span = max(span // 2, 1)
            elif len(logs) < _FEW_LOGS:
                span = min(span * 2, _WIDEST_SPAN)

    async def _page(self, first: int, last: int, wanted: LogFilter) -> list[Log]:
        return await self._pool.run(lambda endpoint: _logs_of_range(endpoint, first, last, wanted), hedged=False)


def _filter(wanted: LogFilter, **where: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(where)
    if wanted.addresses:
        found["address"] = [hexed(address) for address in wanted.addresses]
    if wanted.topics:
        found["topics"] = [[hexed(topic) for topic in wanted.topics]]
    return found


async def _logs_of_block(endpoint: Endpoint, block: BlockRef, wanted: LogFilter) -> list[Log]:
    where = _filter(wanted, blockHash=hexed(block.hash))
    logs = logs_of(await endpoint.request(list[WireLog], "eth_getLogs", where), wanted)
    if any(log.block_hash != block.hash or log.block_number != block.number for log in logs):
        raise Transient(f"{endpoint.name}: unusable answer: a log of another block")
    return logs


async def _logs_of_receipts(endpoint: Endpoint, block: BlockRef, wanted: LogFilter) -> list[Log]:
    """Raises Transient unless the gas of the receipts adds up to that of the block."""
    receipts = await endpoint.request(list[WireReceipt], "eth_getBlockReceipts", hexed(block.hash))
    gas_used = max((quantity(receipt.cumulative_gas_used) for receipt in receipts), default=0)
    logs = logs_in(log for receipt in receipts for log in receipt.logs)
    if gas_used != block.gas_used or any(log.block_hash != block.hash for log in logs):
        raise Transient(f"{endpoint.name}: unusable answer: receipts of block {block} are missing")
    return sorted(select(logs, wanted), key=lambda log: log.index)


async def _logs_of_range(endpoint: Endpoint, first: int, last: int, wanted: LogFilter) -> list[Log]:
    """Ask for block `last` in the same batch: a node that is behind returns a part of the range without an error."""
    where = _filter(wanted, fromBlock=hex(first), toBlock=hex(last))
    answer, head = await endpoint.batch([("eth_getLogs", [where]), ("eth_getBlockByNumber", [hex(last), False])])
    if block_of(served(head, WireBlock)).number != last:
        raise Transient(f"{endpoint.name}: unusable answer: another block than {last}")
    logs = logs_of(served(answer, list[WireLog]), wanted)
    if logs and not first <= logs[0].block_number <= logs[-1].block_number <= last:
        raise Transient(f"{endpoint.name}: unusable answer: a log outside blocks {first} to {last}")
    return logs
