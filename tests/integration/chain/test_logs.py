"""Logs of blocks and ranges from a real node: decoded, complete, or refused."""

from typing import Any

import pytest

from keeper.errors import Transient
from keeper.model.chain import BlockRef, LogFilter
from tests.integration.chain.conftest import Dial
from tests.integration.chain.contracts import EMITTER, TOPIC, WANTED, emit_logs, pages
from tests.support.anvil import Anvil
from tests.support.proxy import FaultProxy, answer, rpc_error


async def test_logs_of_a_block_are_decoded(anvil: Anvil, dial: Dial) -> None:
    emit_logs(anvil, 1)
    reader = (await dial(anvil.url)).reader
    head = await reader.head()
    (log,) = await reader.logs_at(head, WANTED)
    assert (log.address, log.topics, log.data) == (EMITTER, (TOPIC,), b"\x22" * 32)
    assert (log.block_number, log.block_hash, log.index) == (head.number, head.hash, 0)
    assert await reader.logs_at(await reader.block_by_number(0), WANTED) == []


async def test_an_empty_answer_that_the_bloom_contradicts_is_not_believed(
    anvil: Anvil, proxy: FaultProxy, dial: Dial
) -> None:
    emit_logs(anvil, 1)
    reader = (await dial(proxy.url)).reader
    proxy.when("eth_getLogs").do(answer([]))
    assert len(await reader.logs_at(await reader.head(), WANTED)) == 1
    assert len(proxy.calls("eth_getBlockReceipts")) == 1


async def test_another_node_is_asked_first_when_the_bloom_contradicts(
    anvil: Anvil, proxy: FaultProxy, dial: Dial
) -> None:
    emit_logs(anvil, 1)
    reader = (await dial(proxy.url_of("lagging"), proxy.url_of("good"))).reader
    proxy.when("eth_getLogs", who="lagging").do(answer([]))
    assert len(await reader.logs_at(await reader.head(), WANTED)) == 1
    assert not proxy.calls("eth_getBlockReceipts")


async def test_a_false_positive_of_the_bloom_is_accepted_when_the_receipts_agree(
    anvil: Anvil, proxy: FaultProxy, dial: Dial
) -> None:
    emit_logs(anvil, 1)
    reader = (await dial(proxy.url)).reader
    head = await reader.head()
    lying = BlockRef(head.number, head.hash, head.parent, head.timestamp, gas_used=head.gas_used, bloom=b"\xff" * 256)
    assert await reader.logs_at(lying, LogFilter((b"\x77" * 20,))) == []
    assert len(proxy.calls("eth_getBlockReceipts")) == 1


async def test_without_receipts_the_same_question_decides(anvil: Anvil, proxy: FaultProxy, dial: Dial) -> None:
    emit_logs(anvil, 1)
    reader = (await dial(proxy.url)).reader
    proxy.when("eth_getLogs", nth=1).do(answer([]))
    proxy.when("eth_getBlockReceipts").do(rpc_error(-32601, "method not found"))
    assert len(await reader.logs_at(await reader.head(), WANTED)) == 1
    assert len(proxy.calls("eth_getLogs")) == 2


async def test_logs_of_another_block_or_contract_are_refused(anvil: Anvil, proxy: FaultProxy, dial: Dial) -> None:
    emit_logs(anvil, 2)
    reader = (await dial(proxy.url)).reader
    first = await reader.block_by_number(1)
    proxy.when("eth_getLogs", nth=1).do(answer(lambda logs: [log | {"blockHash": "0x" + "ab" * 32} for log in logs]))
    proxy.when("eth_getLogs", nth=2).do(answer(lambda logs: [log | {"address": "0x" + "ab" * 20} for log in logs]))
    with pytest.raises(Transient, match="another block"):
        await reader.logs_at(first, WANTED)
    with pytest.raises(Transient, match="not asked for"):
        await reader.logs_at(first, WANTED)


async def test_ranges_shrink_to_what_the_node_serves_and_grow_again(
    anvil: Anvil, proxy: FaultProxy, dial: Dial
) -> None:
    emit_logs(anvil, 12)
    chain = await dial(proxy.url)

    def too_wide(params: Any) -> bool:
        return int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) > 2

    proxy.when("eth_getLogs", params=too_wide).do(rpc_error(-32005, "query returned more than 10000 results"))
    assert await pages(chain, 0, 12) == list(range(1, 13))
    proxy.clear()
    before = len(proxy.calls("eth_getLogs"))
    assert await pages(chain, 0, 12) == list(range(1, 13))
    assert len(proxy.calls("eth_getLogs")) == before + 1


async def test_a_block_that_cannot_be_served_ends_the_search(anvil: Anvil, proxy: FaultProxy, dial: Dial) -> None:
    emit_logs(anvil, 4)
    chain = await dial(proxy.url)
    proxy.when("eth_getLogs").do(rpc_error(-32000, "no"))
    with pytest.raises(Transient, match="no"):
        await pages(chain, 0, 4)


async def test_a_range_beyond_the_nodes_head_is_refused_not_cut(anvil: Anvil, proxy: FaultProxy, dial: Dial) -> None:
    """Other nodes answer such a range with what they have."""
    emit_logs(anvil, 2)
    chain = await dial(proxy.url)
    proxy.when("eth_getLogs").do(answer([]))
    with pytest.raises(Transient):
        await pages(chain, 5, 9)
