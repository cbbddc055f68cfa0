"""What a contract sees in a simulation on nodes that take overrides and fees, name them otherwise, or refuse them."""

from typing import Any

import pytest

from keeper.cli.checks.check import CheckLevel
from keeper.cli.checks.node import check_simulations
from keeper.model.chain import BlockRef, Call, hexed
from keeper.model.events import NODE_LIMITED, Event
from keeper.model.fees import CallFees
from tests.integration.chain.conftest import Dial
from tests.support.anvil import Anvil
from tests.support.proxy import Action, FaultProxy, Forward, Reply, Seen, rpc_error

SENDER = b"\x01" * 20
FEES = CallFees(max_fee=9 * 10**9, priority_fee=2 * 10**9, base_fee=5 * 10**9)
NEXT_S = 12
READS = {
    "number": "43",
    "timestamp": "42",
    "base fee": "48",
    "gas price": "3a",
    "randomness": "44",
    "parent": "6001430340",  # BLOCKHASH(NUMBER - 1)
    "balance": "3231",  # of the origin
}
WITNESS = bytes.fromhex("".join(f"{op}60{32 * at:02x}52" for at, op in enumerate(READS.values())) + "60e06000f3")


def put(anvil: Anvil) -> bytes:
    address = bytes(19) + b"\xc4"
    anvil.rpc("anvil_setCode", hexed(address), hexed(WITNESS))
    anvil.set_balance(SENDER, 10**18)
    anvil.mine(2)
    return address


async def see(anvil: Anvil, dial: Dial, url: str, fees: CallFees = FEES) -> tuple[BlockRef, dict[str, int]]:
    """The head, and what a contract sees in a simulation on top of it."""
    witness = put(anvil)
    reader = (await dial(url)).reader
    block = await reader.head()
    found = await reader.call(Call(witness, b""), SENDER, block, block.timestamp + NEXT_S, 1_000_000, fees)
    words = [int.from_bytes(found.data[at : at + 32], "big") for at in range(0, len(found.data), 32)]
    return block, dict(zip(READS, words, strict=True))


def limits(events: list[Event]) -> list[list[str]]:
    return [event.fields["missing"] for event in events if event.kind is NODE_LIMITED]


def overriding(*fields: str) -> Any:
    """Calls that override one of these fields of the block."""
    return lambda params: len(params) > 3 and not params[3].keys().isdisjoint(fields)


def heeds_fees_if_strict() -> Action:
    """Besu: fees, and the base fee with them, are zero unless the caller asks for strict rules."""

    async def action(call: Seen, forward: Forward) -> Reply:
        request, *rest = call.params
        if not request.pop("strict", False):
            request = {name: value for name, value in request.items() if "Fee" not in name}
        return Reply(await forward(call.message | {"params": [request, *rest]}))

    return action


async def test_a_contract_sees_the_next_block_and_the_fees_of_the_transaction(
    anvil: Anvil, dial: Dial, events: list[Event]
) -> None:
    block, seen = await see(anvil, dial, anvil.url)
    assert (seen["number"], seen["timestamp"]) == (block.number + 1, block.timestamp + NEXT_S)
    assert (seen["gas price"], seen["base fee"]) == (7 * 10**9, 5 * 10**9)
    assert seen["parent"] == int.from_bytes(block.hash, "big")
    assert seen["randomness"] != int(anvil.rpc("eth_getBlockByNumber", "latest", False)["mixHash"], 16)
    assert seen["balance"] == 10**18 - 1_000_000 * seen["gas price"], "its own, less the gas"
    assert limits(events) == []


async def test_fields_are_named_as_the_node_names_them(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    proxy.when("eth_call", params=overriding("baseFeePerGas", "prevRandao", "feeRecipient")).do(
        rpc_error(-32602, "unknown field")
    )
    _, seen = await see(anvil, dial, proxy.url)
    assert (seen["gas price"], seen["base fee"]) == (7 * 10**9, 5 * 10**9)
    assert limits(events) == []


async def test_a_node_without_another_base_fee_gets_the_rest(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    proxy.when("eth_call", params=overriding("baseFeePerGas", "baseFee")).do(rpc_error(-32602, "unknown field"))
    block, seen = await see(anvil, dial, proxy.url)
    assert (seen["number"], seen["timestamp"]) == (block.number + 1, block.timestamp + NEXT_S)
    assert seen["gas price"] == seen["base fee"] + FEES.priority_fee
    assert limits(events) == [["base fee", "randomness", "fee recipient"]]


async def test_a_node_without_block_overrides_still_gets_the_fees(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    proxy.when("eth_call", params=lambda params: len(params) > 3).do(rpc_error(-32602, "too many arguments"))
    block, seen = await see(anvil, dial, proxy.url)
    assert (seen["number"], seen["gas price"]) == (block.number, seen["base fee"] + FEES.priority_fee)
    assert limits(events) == [["time", "number", "base fee", "randomness", "fee recipient"]]


async def test_a_node_that_refuses_fees_is_asked_without(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    proxy.when("eth_call", params=lambda params: "maxFeePerGas" in params[0]).do(rpc_error(-32602, "unknown field"))
    block, seen = await see(anvil, dial, proxy.url)
    assert (seen["number"], seen["gas price"]) == (block.number + 1, 0)
    assert limits(events) == [["fees"]]


async def test_a_node_that_leaves_fees_out_is_asked_to_be_strict(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]
) -> None:
    proxy.when("eth_call").do(heeds_fees_if_strict())
    _, seen = await see(anvil, dial, proxy.url)
    assert (seen["gas price"], seen["base fee"]) == (7 * 10**9, 5 * 10**9)
    assert limits(events) == []


@pytest.mark.parametrize("refuses_fees", [False, True])
async def test_a_node_without_any_override_is_asked_plainly(
    anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event], refuses_fees: bool
) -> None:
    proxy.when("eth_call", params=lambda params: len(params) > 2).do(rpc_error(-32602, "too many arguments"))
    if refuses_fees:
        proxy.when("eth_call", params=lambda params: "maxFeePerGas" in params[0]).do(rpc_error(-32602, "unknown field"))
    block, seen = await see(anvil, dial, proxy.url)
    assert seen["number"] == block.number
    assert (seen["gas price"] == 0) == refuses_fees
    assert limits(events) == [["time", "number", "base fee", "randomness", "fee recipient", *["fees"] * refuses_fees]]


async def test_what_a_node_lacks_is_said_once(anvil: Anvil, proxy: FaultProxy, dial: Dial, events: list[Event]) -> None:
    proxy.when("eth_call", params=lambda params: len(params) > 3).do(rpc_error(-32602, "too many arguments"))
    chain = await dial(proxy.url)
    [endpoint] = chain._pool.endpoints
    for _ in range(2):
        endpoint.health.failed(0.0, unreachable=True)
        await chain._pool._recognise(endpoint)
    assert len(limits(events)) == 1
    check = check_simulations("node 1", chain)
    assert (check.name, check.verdict) == ("node 1: simulations", CheckLevel.WARN)
    assert "time, number, base fee" in check.message


async def test_a_sender_without_coins_is_no_revert(anvil: Anvil, dial: Dial) -> None:
    witness = put(anvil)
    reader = (await dial(anvil.url)).reader
    block = await reader.head()
    result = await reader.call(Call(witness, b""), b"\x07" * 20, block, block.timestamp + 12, 1_000_000, FEES)
    assert (result.ok, result.unfunded) == (False, True)


async def test_a_sender_without_coins_can_be_given_some(anvil: Anvil, proxy: FaultProxy, dial: Dial) -> None:
    given = CallFees(FEES.max_fee, FEES.priority_fee, FEES.base_fee, grant=1_000_000 * FEES.max_fee)
    anvil.set_balance(SENDER, 0)
    _, seen = await see(anvil, dial, anvil.url, given)
    assert (seen["gas price"], seen["balance"]) == (7 * 10**9, 1_000_000 * 2 * 10**9)
    proxy.when("eth_call", params=lambda params: len(params) > 2).do(rpc_error(-32602, "too many arguments"))
    _, seen = await see(anvil, dial, proxy.url, given)
    assert seen["gas price"] == 0, "without state overrides nobody can be given coins"
