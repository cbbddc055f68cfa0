"""Reads from a real node, also through a proxy that spoils them."""

from typing import Any

import pytest

from keeper.errors import OperatorError, Transient
from keeper.model.chain import Call, CallResult, hexed, storage_read
from keeper.model.events import Event
from tests.integration.chain.conftest import Dial
from tests.integration.chain.contracts import CLOCK, GUZZLER, REVERTER, WANTED, emit_logs, pages, put
from tests.support.anvil import Anvil
from tests.support.proxy import FaultProxy, answer, hang, html, lose_reply, null, rpc_error, status, truncate, wrong_id


async def test_blocks_by_number_and_hash_are_the_same_block(anvil: Anvil, dial: Dial) -> None:
    anvil.mine(3)
    reader = (await dial(anvil.url)).reader
    block = await reader.block_by_number(2)
    assert await reader.block_by_hash(block.hash) == block
    assert (await reader.head()).parent == block.hash


async def test_a_block_that_is_not_there_is_transient(anvil: Anvil, dial: Dial) -> None:
    reader = (await dial(anvil.url)).reader
    with pytest.raises(Transient, match="does not have block"):
        await reader.block_by_number(99)
    with pytest.raises(Transient, match="does not have block"):
        await reader.block_by_hash(b"\x01" * 32)


async def test_many_views_cost_one_request_and_see_one_block(anvil: Anvil, dial: Dial) -> None:
    clock, reverter = put(anvil, CLOCK, 0xC1), put(anvil, REVERTER, 0xC2)
    chain = await dial(anvil.url)
    block = await chain.reader.head()
    anvil.mine(2, 1000)
    before = chain.requests.total()
    results = await chain.reader.read(block, [Call(clock, b""), Call(reverter, b"x"), Call(clock, b"y" * 33)])
    assert chain.requests.total() == before + 1
    assert [result.ok for result in results] == [True, False, True]
    assert int.from_bytes(results[0].data, "big") == block.timestamp
    assert results[1].data == bytes.fromhex("deadbeef")


async def test_a_view_that_burns_all_gas_does_not_spoil_the_others(anvil: Anvil, dial: Dial) -> None:
    clock, guzzler = put(anvil, CLOCK, 0xC1), put(anvil, GUZZLER, 0xC3)
    reader = (await dial(anvil.url)).reader
    block = await reader.head()
    calls = [Call(guzzler, b"")] * 3 + [Call(clock, b"")] * 5
    results = await reader.read(block, calls)
    assert [result.ok for result in results] == [False] * 3 + [True] * 5


async def test_reads_beyond_one_calls_gas_are_split(anvil: Anvil, dial: Dial) -> None:
    clock = put(anvil, CLOCK, 0xC1)
    chain = await dial(anvil.url)
    results = await chain.reader.read(await chain.reader.head(), [Call(clock, bytes(2_000))] * 1_500)
    assert len(results) == 1_500
    assert all(result.ok for result in results)


async def test_nodes_without_overrides_are_read_plainly(anvil: Anvil, proxy: FaultProxy, dial: Dial) -> None:
    clock, reverter = put(anvil, CLOCK, 0xC1), put(anvil, REVERTER, 0xC2)
    proxy.when("eth_call", params=lambda params: len(params) > 2).do(
        rpc_error(-32602, "too many arguments, want at most 2")
    )
    anvil.mine()  # anvil's eth_call sees time 1 at the genesis block
    reader = (await dial(proxy.url)).reader
    block = await reader.head()
    results = await reader.read(block, [Call(clock, b""), Call(reverter, b"")])
    assert [result.ok for result in results] == [True, False]
    assert results[1].data == bytes.fromhex("deadbeef")
    simulated = await reader.call(Call(clock, b""), b"\x01" * 20, block, timestamp=block.timestamp + 50)
    assert int.from_bytes(simulated.data, "big") == block.timestamp


@pytest.mark.parametrize("overrides", [True, False])
async def test_storage_is_read_beside_views_of_the_same_contract(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, overrides: bool
) -> None:
    clock, guzzler = put(anvil, CLOCK, 0xC1), put(anvil, GUZZLER, 0xC3)
    values = {7: 2**256 - 1, 2**255 + 3: 42}
    for slot, value in values.items():
        anvil.rpc("anvil_setStorageAt", hexed(clock), hex(slot), f"0x{value:064x}")
    anvil.mine()
    if not overrides:
        refusal = rpc_error(-32602, "too many arguments, want at most 2")
        proxy.when("eth_call", params=lambda params: len(params) > 2).do(refusal)
    reader = (await dial(proxy.url)).reader
    block = await reader.head()
    calls = [Call(clock, b""), storage_read(clock, [7, 8, 2**255 + 3]), Call(guzzler, b""), storage_read(guzzler, [])]
    time, slots, burnt, none = await reader.read(block, calls)
    assert int.from_bytes(time.data, "big") == block.timestamp
    assert slots == CallResult(True, b"".join(value.to_bytes(32, "big") for value in (2**256 - 1, 0, 42)))
    assert (burnt.ok, none.data) == (False, b"")


async def test_storage_of_nothing_is_not_read_as_zero(anvil: Anvil, dial: Dial) -> None:
    reader = (await dial(anvil.url)).reader
    with pytest.raises(Transient, match="no code at"):
        await reader.read(await reader.head(), [storage_read(b"\x99" * 20, [0])])


async def test_nodes_that_ignore_overrides_are_found_out(anvil: Anvil, proxy: FaultProxy, dial: Dial) -> None:
    clock = put(anvil, CLOCK, 0xC1)
    proxy.when("eth_call", params=lambda params: len(params) > 2).do(answer("0x"))
    reader = (await dial(proxy.url)).reader
    (result,) = await reader.read(await reader.head(), [Call(clock, b"")])
    assert result.ok
    assert len(result.data) == 32


async def test_a_simulation_sees_the_time_it_is_given(anvil: Anvil, dial: Dial) -> None:
    clock = put(anvil, CLOCK, 0xC1)
    reader = (await dial(anvil.url)).reader
    block = await reader.head()
    result = await reader.call(Call(clock, b""), b"\x01" * 20, block, timestamp=block.timestamp + 12, gas=1_000_000)
    assert int.from_bytes(result.data, "big") == block.timestamp + 12


async def test_a_simulation_that_reverts_is_an_answer(anvil: Anvil, dial: Dial) -> None:
    reverter, guzzler = put(anvil, REVERTER, 0xC2), put(anvil, GUZZLER, 0xC3)
    reader = (await dial(anvil.url)).reader
    block = await reader.head()
    reverted = await reader.call(Call(reverter, b""), b"\x01" * 20, block)
    halted = await reader.call(Call(guzzler, b""), b"\x01" * 20, block, gas=100_000)
    assert (reverted.ok, reverted.data) == (False, bytes.fromhex("deadbeef"))
    assert (halted.ok, halted.data) == (False, b"")


async def test_balance_and_code(anvil: Anvil, dial: Dial) -> None:
    clock = put(anvil, CLOCK, 0xC1)
    reader = (await dial(anvil.url)).reader
    block = await reader.head()
    anvil.mine()
    anvil.set_balance(clock, 7)
    assert await reader.balance(clock) == 7
    assert await reader.balance(clock, block) == 0
    assert (await reader.code(clock), await reader.code(b"\x99" * 20)) == (CLOCK, b"")


@pytest.mark.parametrize(
    "fault", [null(), html(), truncate(40), wrong_id(), status(503), answer("0x"), answer({"number": "0x1"})]
)
async def test_an_unusable_answer_is_transient_and_never_a_number(proxy: FaultProxy, dial: Dial, fault: Any) -> None:
    reader = (await dial(proxy.url)).reader
    proxy.when("eth_getBlockByNumber").do(fault)
    with pytest.raises(Transient):
        await reader.head()


async def test_a_node_that_hangs_is_given_up(proxy: FaultProxy, dial: Dial) -> None:
    chain = await dial(proxy.url, timeout_s=0.2)
    proxy.when("eth_getBalance").do(hang())
    with pytest.raises(Transient, match=r"no answer to eth_getBalance within 0\.2 s"):
        await chain.reader.balance(b"\x01" * 20)


async def test_a_kept_connection_that_the_node_closed_is_replaced(proxy: FaultProxy, dial: Dial) -> None:
    reader = (await dial(proxy.url)).reader
    proxy.when("eth_getBalance", nth=1).do(lose_reply())
    assert await reader.balance(b"\x01" * 20) == 0


async def test_reads_go_elsewhere_when_a_node_fails_and_come_back(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    reader = (await dial(proxy.url_of("first"), proxy.url_of("second"))).reader
    proxy.when(who="first").do(status(502))
    await reader.head()
    await reader.head()
    assert [event.kind.code for event in events] == ["node.down"]
    assert {call.who for call in proxy.seen[-1:]} == {"second"}


async def test_a_request_costs_one_connection_only(proxy: FaultProxy, anvil: Anvil, dial: Dial) -> None:
    chain = await dial(proxy.url)
    for _ in range(20):
        await chain.reader.head()
    assert chain.requests["eth_getBlockByNumber"] == len(proxy.calls("eth_getBlockByNumber")) == 21


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_a_wrong_chain_is_refused_with_both_ids(anvil: Anvil, events: list[Event], scheme: str) -> None:
    from keeper.chain.connect import connect

    url = anvil.url if scheme == "http" else anvil.ws_url
    with pytest.raises(OperatorError, match=r"serves chain 31337, KEEPER_CHAIN_ID is 10"):
        await connect([url], 10, 5, events.append)


async def test_another_genesis_is_refused(anvil: Anvil, proxy: FaultProxy, dial: Dial) -> None:
    proxy.when("eth_getBlockByNumber", who="other").do(answer(lambda block: block | {"hash": "0x" + "12" * 32}))
    with pytest.raises(OperatorError, match="another genesis"):
        await dial(proxy.url, proxy.url_of("other"))


async def test_an_unreachable_node_is_one_clear_line_without_its_key(dial: Dial, free_url: str) -> None:
    with pytest.raises(OperatorError, match="no node of KEEPER_RPC_URLS answers") as caught:
        await dial(f"{free_url}/v3/0123456789abcdef", "/nowhere/geth.ipc")
    assert "0123456789abcdef" not in str(caught.value)
    assert free_url in str(caught.value)


async def test_one_good_node_is_enough_to_start(anvil: Anvil, dial: Dial, free_url: str, events: list[Event]) -> None:
    chain = await dial(f"{free_url}/secret-token", anvil.url)
    assert (await chain.reader.head()).number == 0
    assert [event.kind.code for event in events] == ["node.down"]
    assert "secret-token" not in str(events)


async def test_web3_rides_on_the_same_connections_and_cannot_send(anvil: Anvil, dial: Dial) -> None:
    from keeper.errors import Refused

    chain = await dial(anvil.url)
    client = chain.web3()
    anvil.mine(2)
    assert await client.eth.block_number == 2
    assert await client.is_connected()
    with pytest.raises(Refused):
        await client.eth.send_raw_transaction(b"\x01")


async def test_every_transport_serves_the_same(start_anvil: Any, dial: Dial, tmp_path_factory: Any) -> None:
    ipc = tmp_path_factory.mktemp("ipc") / "node.ipc"
    node = start_anvil(ipc=ipc)
    emit_logs(node, 2)
    found = []
    for url in (node.url, node.ws_url, str(ipc)):
        chain = await dial(url)
        head = await chain.reader.head()
        found.append((head, await chain.reader.logs_at(head, WANTED), await pages(chain, 0, 2)))
    assert found[0] == found[1] == found[2]
