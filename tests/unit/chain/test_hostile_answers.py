"""Whatever a node answers: an error of ours or a right value. Never a traceback, never a zero where there are no data.

A few hundred answers for each parser; KEEPER_FUZZ=10000 for a thorough search.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from keeper.chain import multicall
from keeper.chain.codec import (
    WireBlock,
    WireLog,
    WireNotice,
    WireReceipt,
    block_of,
    logs_of,
    messages,
    octets,
    quantity,
    receipt_of,
    shaped,
)
from keeper.chain.concurrency import asks_to_wait
from keeper.chain.errors import RpcError, StateMissing
from keeper.chain.node_errors import is_overload, judge, reverted
from keeper.chain.transport.base import by_id
from keeper.chain.transport.http import HttpTransport
from keeper.chain.transport.ipc import JsonSplitter
from keeper.errors import Transient
from keeper.model.chain import LogFilter

FUZZ = settings(
    max_examples=int(os.environ.get("KEEPER_FUZZ", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
ADDRESS, HASH = "0x" + "aa" * 20, "0x" + "bb" * 32
BLOCK: dict[str, Any] = {
    "number": "0x10",
    "hash": HASH,
    "parentHash": "0x" + "cc" * 32,
    "timestamp": "0x66",
    "gasUsed": "0x5208",
    "gasLimit": "0x1c9c380",
    "baseFeePerGas": "0x7",
    "logsBloom": "0x" + "00" * 256,
}
LOG: dict[str, Any] = {
    "address": ADDRESS,
    "topics": [HASH],
    "data": "0x01",
    "blockNumber": "0x10",
    "blockHash": HASH,
    "logIndex": "0x0",
    "transactionHash": HASH,
    "removed": False,
}
RECEIPT: dict[str, Any] = {
    "transactionHash": HASH,
    "blockNumber": "0x10",
    "blockHash": HASH,
    "status": "0x1",
    "gasUsed": "0x5208",
    "effectiveGasPrice": "0x7",
    "cumulativeGasUsed": "0x5208",
    "logs": [LOG],
}
NOTICE: dict[str, Any] = {"subscription": "0x1", "result": BLOCK}
ANSWER: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "result": BLOCK}
ERROR: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "nonce too low", "data": "0x"}}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["0x", "0x0", "0x1", "-0x1", "0x_1", "0xg", HASH, ADDRESS, "0x" + "f" * 65, "latest", "0x aa", "0x\u0661"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member of a JSON value, as (container, key)."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in [(value, key), *places(value[key])]]


@st.composite
def mutated(draw: st.DrawFn, sample: Any) -> bytes:
    """An answer with a few members replaced, removed or repeated; sometimes bytes of it, sometimes anything."""
    value = json.loads(json.dumps(sample))
    for _ in range(draw(st.integers(0, 3))):
        found = places(value)
        if not found:
            break
        container, key = draw(st.sampled_from(found))
        if draw(st.booleans()):
            container[key] = draw(JSON)
        elif isinstance(container, dict):
            del container[key]
        else:
            container.append(container[key])
    raw = json.dumps(draw(st.just(value) | JSON)).encode()
    if draw(st.integers(0, 3)) == 0:
        start, end = sorted(draw(st.tuples(st.integers(0, len(raw)), st.integers(0, len(raw)))))
        raw = raw[:start] + draw(st.binary(max_size=4)) + raw[end:]
    return raw


def outcome(parse: Callable[[], Any]) -> Any:
    """What came out, or None for an error of ours. Everything else is a failure of the test."""
    try:
        return parse()
    except Transient:
        return None


def said(raw: bytes) -> Any:
    """As another parser reads it. Names that nobody asked for need not be text."""
    return json.loads(raw.decode(errors="replace"))


@FUZZ
@given(mutated(BLOCK))
@example(json.dumps(BLOCK | {"number": None}).encode())
@example(json.dumps(BLOCK | {"number": "0x"}).encode())
def test_blocks(raw: bytes) -> None:
    block = outcome(lambda: block_of(shaped(raw, WireBlock)))
    if block is not None:
        given_ = said(raw)
        assert (block.number, block.timestamp) == (int(given_["number"], 16), int(given_["timestamp"], 16))
        assert "0x" + block.hash.hex() == given_["hash"].lower()
        assert (block.gas_used, block.gas_limit) == (int(given_["gasUsed"], 16), int(given_["gasLimit"], 16))
        assert len(block.parent) == 32
        assert len(block.bloom) in (0, 256)


@FUZZ
@given(mutated([LOG, LOG | {"logIndex": "0x1"}]))
@example(json.dumps([LOG, LOG]).encode())
@example(json.dumps([LOG | {"removed": True}]).encode())
def test_logs(raw: bytes) -> None:
    logs = outcome(lambda: logs_of(shaped(raw, list[WireLog]), LogFilter((bytes.fromhex("aa" * 20),))))
    if logs is not None:
        given_ = said(raw)
        assert len(logs) == len(given_), "none is left out"
        assert sorted(log.index for log in logs) == sorted(int(one["logIndex"], 16) for one in given_)
        assert {log.address.hex() for log in logs} <= {"aa" * 20}
        assert len({(log.block_number, log.index) for log in logs}) == len(logs)


@FUZZ
@given(mutated(RECEIPT))
def test_receipts(raw: bytes) -> None:
    receipt = outcome(lambda: receipt_of(shaped(raw, WireReceipt)))
    if receipt is not None:
        given_ = said(raw)
        assert receipt.status == int(given_["status"], 16)
        assert receipt.gas_used == int(given_["gasUsed"], 16)
        assert receipt.effective_gas_price == int(given_["effectiveGasPrice"], 16)
        assert len(receipt.logs) == len(given_["logs"])


@FUZZ
@given(JSON)
@pytest.mark.parametrize("parse", [quantity, octets], ids=["quantity", "octets"])
def test_single_words(parse: Callable[[str], Any], value: Any) -> None:
    text = outcome(lambda: shaped(json.dumps(value).encode(), str))
    found = None if text is None else outcome(lambda: parse(text))
    if found is not None:
        assert isinstance(value, str)
        assert value.startswith("0x")
        assert value != "0x" or found == b"", "nothing is not zero"
        assert all(letter in "0123456789abcdefABCDEF" for letter in value[2:]), "what Python would overlook"


@FUZZ
@given(
    st.binary(max_size=400) | st.lists(st.integers(0, 2**256 - 1) | st.integers(0, 300), max_size=12), st.integers(0, 4)
)
def test_bulk_reads(data: bytes | list[int], count: int) -> None:
    raw = data if isinstance(data, bytes) else b"".join(word.to_bytes(32, "big") for word in data)
    results = outcome(lambda: multicall.unpack(raw, count))
    if results is not None:
        assert len(results) == count
        assert all(len(result.data) <= len(raw) for result in results)


@FUZZ
@given(
    mutated([ANSWER, ANSWER | {"id": 2}]) | mutated(ERROR) | mutated(ANSWER), st.sampled_from([200, 400, 429, 500, 503])
)
def test_bodies_over_http(raw: bytes, status: int) -> None:
    answers = outcome(lambda: HttpTransport._answers(raw, status, "x", [1, 2]))
    if answers is not None:
        assert answers.keys() == {1, 2}
        assert status not in (429, 503)


@FUZZ
@given(st.lists(mutated(ANSWER), max_size=3), st.binary(max_size=8))
def test_frames_and_streams(frames: list[bytes], rest: bytes) -> None:
    splitter = JsonSplitter()
    for part in [*frames, rest]:
        for document in splitter.feed(part):
            try:
                found = messages(document)
            except ValueError:
                continue
            outcome(lambda found=found: by_id(found, [1]))


@FUZZ
@given(mutated(NOTICE))
def test_notices(raw: bytes) -> None:
    block = outcome(lambda: block_of(shaped(shaped(raw, WireNotice).result, WireBlock)))
    if block is not None:
        assert block.number == int(said(raw)["result"]["number"], 16)


@FUZZ
@given(st.integers(), st.text(max_size=60) | st.sampled_from(["execution reverted", "nonce too low", "0x"]), JSON)
def test_errors(code: int, message: str, data: Any) -> None:
    error = RpcError(code, message, data)
    assert judge(error).status in {"accepted", "refused", "unknown"}
    verdict = reverted(error)
    assert verdict is None or (verdict.ok is False and isinstance(verdict.data, bytes))
    assert {is_overload(error), asks_to_wait(error), StateMissing.says(error)} <= {True, False}
