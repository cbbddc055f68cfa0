"""What nodes say is either right or Transient: whatever bytes come, nothing else."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st

from keeper.chain.codec import (
    Envelope,
    WireBlock,
    WireLog,
    WireReceipt,
    block_of,
    fixed,
    logs_of,
    octets,
    quantity,
    receipt_of,
    shaped,
)
from keeper.chain.errors import HttpStatus
from keeper.chain.transport.http import HttpTransport
from keeper.errors import Transient
from keeper.model.chain import BlockRef, LogFilter

HASH, OTHER, ADDRESS = "0x" + "ab" * 32, "0x" + "cd" * 32, "0x" + "11" * 20
BLOCK: dict[str, Any] = {
    "number": "0x10",
    "hash": HASH,
    "parentHash": OTHER,
    "timestamp": "0x65",
    "gasUsed": "0x5208",
    "gasLimit": "0x1c9c380",
    "baseFeePerGas": "0x7",
    "logsBloom": "0x" + "00" * 256,
    "transactions": [],
}
LOG: dict[str, Any] = {
    "address": ADDRESS,
    "topics": [OTHER],
    "data": "0x0102",
    "blockNumber": "0x10",
    "blockHash": HASH,
    "logIndex": "0x0",
    "transactionHash": OTHER,
    "removed": False,
}
RECEIPT: dict[str, Any] = {
    "transactionHash": OTHER,
    "blockNumber": "0x10",
    "blockHash": HASH,
    "status": "0x1",
    "gasUsed": "0x5208",
    "effectiveGasPrice": "0x9",
    "cumulativeGasUsed": "0x5208",
    "logs": [LOG],
}
ANY = LogFilter(())


def block(body: bytes) -> BlockRef:
    return block_of(shaped(answer(body).result, WireBlock))


def logs(body: bytes) -> Any:
    return logs_of(shaped(answer(body).result, list[WireLog]), ANY)


def receipt(body: bytes) -> Any:
    return receipt_of(shaped(answer(body).result, WireReceipt))


def number(body: bytes) -> int:
    return quantity(shaped(answer(body).result, str))


def answer(body: bytes) -> Envelope:
    return HttpTransport._answers(body, 200, None, [1])[1]


def body_of(result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()


READERS: list[tuple[Callable[[bytes], Any], Any]] = [
    (block, BLOCK),
    (logs, [LOG]),
    (receipt, RECEIPT),
    (number, "0x1234"),
]


def test_a_block_is_read() -> None:
    assert block(body_of(BLOCK)) == BlockRef(16, b"\xab" * 32, b"\xcd" * 32, 101, 7, 21_000, 30_000_000, bytes(256))


def test_a_block_before_the_base_fee_has_none() -> None:
    old = {key: value for key, value in BLOCK.items() if key != "baseFeePerGas"}
    assert block(body_of(old)).base_fee == 0


def test_a_receipt_is_read_and_a_pending_one_is_none() -> None:
    found = receipt(body_of(RECEIPT))
    assert (found.status, found.gas_used, found.effective_gas_price, len(found.logs)) == (1, 21_000, 9, 1)
    assert receipt(body_of(RECEIPT | {"blockHash": None, "blockNumber": None})) is None


@pytest.mark.parametrize(("read", "result"), READERS)
@given(data=st.data())
def test_an_answer_cut_short_is_transient(read: Callable[[bytes], Any], result: Any, data: st.DataObject) -> None:
    body = body_of(result)
    with pytest.raises(Transient):
        read(body[: data.draw(st.integers(0, len(body) - 1))])


@pytest.mark.parametrize(("read", "result"), READERS)
@given(data=st.data())
def test_spoilt_bytes_are_transient_or_an_answer(
    read: Callable[[bytes], Any], result: Any, data: st.DataObject
) -> None:
    body = bytearray(body_of(result))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    with suppress(Transient):
        read(bytes(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["0x", "0x0", HASH, "0xzz"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def is_hashes(value: Any) -> bool:
    """What topics may be."""
    return isinstance(value, list) and all(one == HASH for one in value)


@pytest.mark.parametrize(("read", "result"), READERS)
@given(data=st.data())
def test_a_field_of_another_kind_is_transient(read: Callable[[bytes], Any], result: Any, data: st.DataObject) -> None:
    """Strings of the right form may pass, as for a node that says so; anything else must not."""
    if isinstance(result, str):
        spoilt: Any = data.draw(JSON)
    else:
        spoilt = json.loads(json.dumps(result))
        target = spoilt[0] if isinstance(spoilt, list) else spoilt
        target[data.draw(st.sampled_from(sorted(set(target) - {"transactions", "removed"})))] = data.draw(
            JSON.filter(lambda value: not isinstance(value, str) and value is not None and not is_hashes(value))
        )
    with suppress(Transient):
        found = read(body_of(spoilt))
        assert isinstance(spoilt, str)
        assert found == int(spoilt, 16)


@pytest.mark.parametrize("read", [reader for reader, _ in READERS])
@pytest.mark.parametrize("result", [None, {}, 0, "", "0x", [None], [{}], True])
def test_null_and_empty_are_never_a_value(read: Callable[[bytes], Any], result: Any) -> None:
    with pytest.raises(Transient):
        read(body_of(result))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b"<html></html>",
        b"{}",
        b'{"id":1}',
        b'{"id":2,"result":"0x1"}',
        b'{"id":"1","result":"0x1"}',
        b'{"id":null,"result":"0x1"}',
        b'[{"id":1,"result":"0x1"},{"id":1,"result":"0x2"}]',
        b'[{"id":1,"result":"0x1"},{"id":2,"result":"0x2"}]',
        b"[" * 100_000,
        b'{"id":1,"result":' + b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_not_the_answer_to_the_request_is_transient(body: bytes) -> None:
    with pytest.raises(Transient):
        number(body)


def test_answers_of_a_batch_are_matched_by_id_not_by_place() -> None:
    body = b'[{"id":2,"result":"0x2"},{"id":1,"result":"0x1"}]'
    found = HttpTransport._answers(body, 200, None, [1, 2])
    assert [quantity(shaped(found[number].result, str)) for number in (1, 2)] == [1, 2]


def test_a_node_that_asks_to_wait_says_how_long() -> None:
    with pytest.raises(HttpStatus) as caught:
        HttpTransport._answers(body_of("0x1"), 429, "7", [1])
    assert (caught.value.status, caught.value.retry_after_s) == (429, 7)


def test_a_batch_refused_as_a_whole_is_an_error_for_each() -> None:
    body = b'{"id":null,"error":{"code":-32005,"message":"limit"}}'
    found = HttpTransport._answers(body, 400, None, [1, 2])
    assert all(envelope.error and envelope.error.code == -32005 for envelope in found.values())


@pytest.mark.parametrize("text", ["", "0x", "1", "0xg", "-0x1", "0x-1", "0x1" + "0" * 64, "x0"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(Transient):
        quantity(text)


@given(st.integers(0, 2**256 - 1))
def test_quantities_are_exact(value: int) -> None:
    assert quantity(hex(value)) == value


@given(st.binary(max_size=80))
def test_hex_is_exact(value: bytes) -> None:
    assert octets("0x" + value.hex()) == value
    if len(value) != 32:
        with pytest.raises(Transient):
            fixed("0x" + value.hex())


def test_logs_come_in_chain_order_and_not_twice() -> None:
    def wire(number: int, index: int) -> dict[str, Any]:
        return LOG | {"blockNumber": hex(number), "logIndex": hex(index)}

    found = logs(body_of([wire(2, 1), wire(1, 5), wire(2, 0)]))
    assert [(log.block_number, log.index) for log in found] == [(1, 5), (2, 0), (2, 1)]
    with pytest.raises(Transient, match="twice"):
        logs(body_of([wire(1, 0), wire(1, 0)]))


def test_a_log_taken_back_is_refused() -> None:
    with pytest.raises(Transient, match="marked as removed"):
        logs(body_of([LOG | {"removed": True}]))


@pytest.mark.parametrize("wanted", [LogFilter((b"\x22" * 20,)), LogFilter((), (b"\x22" * 32,))])
def test_a_log_that_was_not_asked_for_is_refused(wanted: LogFilter) -> None:
    with pytest.raises(Transient, match="not asked for"):
        logs_of(shaped(json.dumps([LOG]).encode(), list[WireLog]), wanted)


@pytest.mark.parametrize(
    ("fields", "fee"),
    [
        ({}, 0),
        ({"l1Fee": "0x64"}, 100),
        ({"l1Fee": None, "operatorFeeScalar": None}, 0),
        ({"l1Fee": "0x64", "operatorFeeScalar": hex(10**6), "operatorFeeConstant": "0x7"}, 100 + 0x5208 + 7),
        ({"l1Fee": "0x64", "operatorFeeScalar": "0x1", "operatorFeeConstant": "0x7", "daFootprintGasScalar": "0x190"},
         100 + 0x5208 * 100 + 7),
        ({"gasUsedForL1": "0x2000"}, 0),  # of Arbitrum: it is in gasUsed
    ],
)  # fmt: skip
def test_a_receipt_says_what_a_rollup_charged_beside_the_gas(fields: dict[str, Any], fee: int) -> None:
    found = receipt_of(shaped(json.dumps(RECEIPT | fields).encode(), WireReceipt))
    assert found is not None
    assert found.data_fee == fee


@pytest.mark.parametrize("broken", ["", "100", "0xzz"])
def test_a_malformed_data_fee_is_no_fee_of_zero(broken: str) -> None:
    with pytest.raises(Transient):
        receipt_of(shaped(json.dumps(RECEIPT | {"l1Fee": broken or "0x"}).encode(), WireReceipt))
