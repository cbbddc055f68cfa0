"""Sending through faults: accepted, refused or unknown, and never twice behind the caller's back."""

import asyncio
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from keeper.errors import Transient
from keeper.model.intent import SendStatus
from tests.integration.chain.conftest import Dial
from tests.support.anvil import Anvil, dev_key
from tests.support.proxy import (
    FaultProxy,
    answer,
    hang,
    html,
    lose_reply,
    lose_request,
    null,
    rpc_error,
    status,
    truncate,
    wrong_id,
)

SENDER = bytes.fromhex(Account.from_key(dev_key(0)).address[2:])


def signed(nonce: int = 0, **fields: Any) -> bytes:
    request = {
        "type": 2,
        "chainId": 31337,
        "nonce": nonce,
        "to": "0x" + "11" * 20,
        "value": 1,
        "gas": 21_000,
        "maxFeePerGas": 3 * 10**9,
        "maxPriorityFeePerGas": 10**9,
    }
    key = fields.pop("key", dev_key(0))
    return bytes(Account.sign_transaction(request | fields, key).raw_transaction)


async def test_a_transaction_is_accepted_mined_and_followed(anvil: Anvil, dial: Dial) -> None:
    sender = (await dial(anvil.url)).sender
    raw = signed()
    assert await sender.receipt(keccak(raw)) is None
    assert await sender.transaction(keccak(raw)) is None
    assert (await sender.send_raw(raw)).status is SendStatus.ACCEPTED
    anvil.receipt(keccak(raw))
    receipt = await sender.receipt(keccak(raw))
    assert receipt is not None
    assert (receipt.status, receipt.gas_used, receipt.block_number) == (1, 21_000, 1)
    transaction = await sender.transaction(keccak(raw))
    assert transaction is not None
    assert int(transaction["nonce"], 16) == 0
    assert await sender.nonce(SENDER) == 1


async def test_what_a_node_has_already_is_accepted(anvil: Anvil, dial: Dial) -> None:
    anvil.set_automine(False)
    sender = (await dial(anvil.url)).sender
    assert (await sender.send_raw(signed())).status is SendStatus.ACCEPTED
    again = await sender.send_raw(signed())
    assert (again.status, again.reason) == (SendStatus.ACCEPTED, "already_known")


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("nonce_too_low", {"nonce": 0}),
        ("replacement_underpriced", {"nonce": 1, "value": 2}),
        ("underpriced", {"nonce": 2, "maxFeePerGas": 1, "maxPriorityFeePerGas": 1}),
        ("intrinsic_gas", {"nonce": 2, "gas": 20_000}),
        ("gas_limit", {"nonce": 2, "gas": 40_000_000}),
        ("insufficient_funds", {"nonce": 0, "key": b"\x07" * 32}),
        ("other", {"nonce": 2, "chainId": 5}),
    ],
)
async def test_the_nodes_refusals_are_told_apart(anvil: Anvil, dial: Dial, reason: str, fields: Any) -> None:
    sender = (await dial(anvil.url)).sender
    await sender.send_raw(signed(0))
    anvil.receipt(keccak(signed(0)))
    anvil.set_automine(False)
    await sender.send_raw(signed(1))
    result = await sender.send_raw(signed(**fields))
    assert (result.status, result.reason) == (SendStatus.REFUSED, reason)


@pytest.mark.parametrize(
    "fault",
    [
        lose_request(),
        lose_reply(),
        hang(),
        status(502),
        status(429, Retry_After="1"),
        html(),
        truncate(20),
        wrong_id(),
        null(),
        answer("0x" + "ab" * 32),
        rpc_error(-32005, "limit exceeded"),
        rpc_error(-32603, "internal error"),
    ],
)
async def test_without_a_clear_reply_the_outcome_is_unknown_and_the_bytes_left_once(
    proxy: FaultProxy, dial: Dial, fault: Any
) -> None:
    chain = await dial(proxy.url, timeout_s=0.5)
    proxy.when("eth_sendRawTransaction").do(fault)
    assert (await chain.sender.send_raw(signed())).status is SendStatus.UNKNOWN
    assert proxy.sent == [signed()]


async def test_a_lost_reply_is_cleared_up_by_sending_the_same_bytes_again(
    anvil: Anvil, proxy: FaultProxy, dial: Dial
) -> None:
    anvil.set_automine(False)
    sender = (await dial(proxy.url)).sender
    proxy.when("eth_sendRawTransaction", nth=1).do(lose_reply())
    assert (await sender.send_raw(signed())).status is SendStatus.UNKNOWN
    assert (await sender.send_raw(signed())).status is SendStatus.ACCEPTED


async def test_all_nodes_get_the_bytes_at_once_and_one_that_hangs_is_not_waited_for(
    anvil: Anvil, proxy: FaultProxy, dial: Dial
) -> None:
    """The first would be waited for until the end of the test."""
    chain = await dial(proxy.url_of("hanging"), proxy.url_of("silent"), proxy.url_of("good"), timeout_s=60.0)
    proxy.when("eth_sendRawTransaction", who="hanging").do(hang())
    proxy.when("eth_sendRawTransaction", who="silent").do(lose_request())
    async with asyncio.timeout(20):
        assert (await chain.sender.send_raw(signed())).status is SendStatus.ACCEPTED
    assert {call.who for call in proxy.calls("eth_sendRawTransaction")} == {"hanging", "silent", "good"}
    assert set(proxy.sent) == {signed()}


async def test_a_node_that_cannot_be_reached_does_not_blur_a_refusal(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, free_url: str
) -> None:
    sender = (await dial(free_url, proxy.url)).sender
    proxy.when("eth_sendRawTransaction").do(rpc_error(-32000, "intrinsic gas too low"))
    result = await sender.send_raw(signed())
    assert (result.status, result.reason) == (SendStatus.REFUSED, "intrinsic_gas")


async def test_one_silent_node_makes_another_nodes_refusal_unknown(proxy: FaultProxy, dial: Dial) -> None:
    """The silent one may have taken it, which is why the other says that the nonce is used."""
    sender = (await dial(proxy.url_of("first"), proxy.url_of("second"))).sender
    proxy.when("eth_sendRawTransaction", who="first").do(lose_request())
    proxy.when("eth_sendRawTransaction", who="second").do(rpc_error(-32000, "nonce too low"))
    assert (await sender.send_raw(signed())).status is SendStatus.UNKNOWN


async def test_a_receipt_that_one_node_lacks_is_asked_of_the_others(
    anvil: Anvil, proxy: FaultProxy, dial: Dial
) -> None:
    sender = (await dial(proxy.url_of("lagging"), proxy.url_of("good"))).sender
    raw = signed()
    await sender.send_raw(raw)
    anvil.receipt(keccak(raw))
    proxy.when(who="lagging").do(null())
    assert await sender.receipt(keccak(raw)) is not None
    assert await sender.transaction(keccak(raw)) is not None


@pytest.mark.parametrize("fault", [status(500), answer({"status": "0x1"}), truncate(30), html()])
async def test_a_receipt_that_cannot_be_read_is_not_a_missing_one(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, fault: Any
) -> None:
    sender = (await dial(proxy.url)).sender
    raw = signed()
    await sender.send_raw(raw)
    proxy.when("eth_getTransactionReceipt").do(fault)
    with pytest.raises(Transient):
        await sender.receipt(keccak(raw))


async def test_another_transactions_receipt_is_refused(anvil: Anvil, proxy: FaultProxy, dial: Dial) -> None:
    sender = (await dial(proxy.url)).sender
    raw = signed()
    await sender.send_raw(raw)
    anvil.receipt(keccak(raw))
    proxy.when("eth_getTransactionReceipt").do(answer(lambda found: found | {"transactionHash": "0x" + "ab" * 32}))
    with pytest.raises(Transient, match="the receipt of another"):
        await sender.receipt(keccak(raw))
