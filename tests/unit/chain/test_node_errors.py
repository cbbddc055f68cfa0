"""Nodes' own words, told apart. Spellings as their sources have them."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from keeper.chain.errors import RpcError
from keeper.chain.node_errors import is_overload, judge, reverted
from keeper.model.chain import CallResult
from keeper.model.intent import SendStatus

DATA = bytes.fromhex("08c379a0") + bytes(4)
HEX = "0x" + DATA.hex()


@pytest.mark.parametrize(
    ("code", "message", "data", "expected"),
    [
        (3, "execution reverted", HEX, DATA),  # geth, reth, erigon
        (3, "execution reverted: Panic", HEX, DATA),
        (-32000, "execution reverted", None, b""),
        (3, "execution reverted: custom error 0xdeadbeef", "0xdeadbeef", bytes.fromhex("deadbeef")),  # anvil
        (-32015, "VM execution error.", f"Reverted {HEX}", DATA),  # nethermind and openethereum
        (-32015, "VM execution error.", "Reverted 0x", b""),
        (-32015, "VM execution error.", "Bad instruction fe", b""),
        (-32000, "Execution reverted", HEX, DATA),  # besu
        (-32603, "Internal error", {"message": "x"}, None),
        (-32603, "execution reverted", {"data": HEX}, DATA),
        (-32603, "execution reverted", {"originalError": {"data": HEX}}, DATA),
        (-32000, "out of gas", None, b""),  # geth
        (-32000, "invalid opcode: INVALID", None, b""),
        (-32000, "stack underflow (0 <=> 1)", None, b""),
        (-32003, "out of gas: gas required exceeds: 50000000", None, b""),  # reth
        (-32003, "EVM error: InvalidFEOpcode", None, b""),
        (-32603, "EVM error OutOfGas", None, b""),  # anvil
        (-32000, "intrinsic gas too low", None, b""),
        (-32000, "header not found", None, None),
        (-32000, "missing trie node 1234 (path )", None, None),
        (-32001, "block not found: hash 0x12", None, None),
        (-32000, "execution aborted (timeout = 5s)", None, None),
        (-32005, "limit exceeded", None, None),
        (-32602, "invalid argument 2: json: unknown field", None, None),
        (-32601, "the method eth_call does not exist", None, None),
    ],
)
def test_what_a_call_came_to(code: int, message: str, data: Any, expected: bytes | None) -> None:
    found = reverted(RpcError(code, message, data))
    assert found == (None if expected is None else CallResult(False, expected))


@pytest.mark.parametrize(
    ("message", "status", "reason"),
    [
        # geth
        ("already known", SendStatus.ACCEPTED, "already_known"),
        ("known transaction: 1234abcd", SendStatus.ACCEPTED, "already_known"),
        ("nonce too low: next nonce 5, tx nonce 4", SendStatus.REFUSED, "nonce_too_low"),
        ("nonce too high", SendStatus.REFUSED, "nonce_too_high"),
        ("future transaction tries to replace pending", SendStatus.REFUSED, "nonce_too_high"),
        ("gapped-nonce tx from delegated accounts", SendStatus.REFUSED, "in_flight_limit"),
        ("transaction underpriced: gas tip cap 0, minimum needed 1", SendStatus.REFUSED, "underpriced"),
        ("max fee per gas less than block base fee: address 0x, maxFeePerGas: 1", SendStatus.REFUSED, "underpriced"),
        ("replacement transaction underpriced", SendStatus.REFUSED, "replacement_underpriced"),
        ("insufficient funds for gas * price + value: balance 0", SendStatus.REFUSED, "insufficient_funds"),
        ("exceeds block gas limit", SendStatus.REFUSED, "gas_limit"),
        ("transaction gas limit too high (cap: 16777216, tx: 16777217)", SendStatus.REFUSED, "gas_limit"),
        ("tx fee (1.10 ether) exceeds the configured cap (1.00 ether)", SendStatus.REFUSED, "fee_cap"),
        ("intrinsic gas too low: gas 20000, minimum needed 21000", SendStatus.REFUSED, "intrinsic_gas"),
        ("insufficient gas for floor data gas cost: gas 1, minimum needed 2", SendStatus.REFUSED, "intrinsic_gas"),
        ("txpool is full", SendStatus.REFUSED, "pool_full"),
        ("invalid sender", SendStatus.REFUSED, "other"),
        ("in-flight transaction limit reached for delegated accounts", SendStatus.REFUSED, "in_flight_limit"),
        ("max priority fee per gas higher than max fee per gas", SendStatus.REFUSED, "other"),
        ("only replay-protected (EIP-155) transactions allowed over RPC", SendStatus.REFUSED, "other"),
        ("authority nonce too low", SendStatus.REFUSED, "other"),
        # reth
        ("transaction priority fee below minimum required priority fee 1", SendStatus.REFUSED, "underpriced"),
        ("exceeds max transaction gas limit", SendStatus.REFUSED, "gas_limit"),
        ("tx fee (20 wei) exceeds the configured cap (10 wei)", SendStatus.REFUSED, "fee_cap"),
        ("failed to decode signed transaction", SendStatus.REFUSED, "other"),
        ("invalid chain ID", SendStatus.REFUSED, "other"),
        # erigon
        ("existing txn with same hash", SendStatus.ACCEPTED, "already_known"),
        ("INTERNAL_ERROR: existing tx with same hash", SendStatus.ACCEPTED, "already_known"),
        ("could not replace existing tx", SendStatus.REFUSED, "replacement_underpriced"),
        ("underpriced", SendStatus.REFUSED, "underpriced"),
        ("fee too low", SendStatus.REFUSED, "underpriced"),
        ("baseFee sub-pool is full", SendStatus.REFUSED, "pool_full"),
        ("IntrinsicGas", SendStatus.REFUSED, "intrinsic_gas"),
        ("gas limit is too high", SendStatus.REFUSED, "gas_limit"),
        ("RLPTooLong", SendStatus.REFUSED, "other"),
        # nethermind, old and new words
        ("AlreadyKnown", SendStatus.ACCEPTED, "already_known"),
        ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", SendStatus.REFUSED, "nonce_too_low"),
        ("NonceGap, Future nonce. Expected nonce: 5", SendStatus.REFUSED, "nonce_too_high"),
        ("nonce too far in future", SendStatus.REFUSED, "nonce_too_high"),
        ("FeeTooLow, MaxFeePerGas too low", SendStatus.REFUSED, "underpriced"),
        ("ReplacementNotAllowed", SendStatus.REFUSED, "replacement_underpriced"),
        ("InsufficientFunds, Balance is zero", SendStatus.REFUSED, "insufficient_funds"),
        ("GasLimitExceeded, Gas limit: 1", SendStatus.REFUSED, "gas_limit"),
        ("gas limit reached", SendStatus.REFUSED, "gas_limit"),
        ("TxGasLimitCapExceeded: Gas limit 2 exceeded cap of 1.", SendStatus.REFUSED, "gas_limit"),
        ("SenderIsContract", SendStatus.REFUSED, "other"),
        ("InvalidTxChainId: Expected 1, got 5.", SendStatus.REFUSED, "other"),
        # anvil, measured
        ("transaction already imported", SendStatus.ACCEPTED, "already_known"),
        ("Insufficient funds for gas * price + value", SendStatus.REFUSED, "insufficient_funds"),
        ("intrinsic gas too high -- tx.gas_limit > env.block.gas_limit", SendStatus.REFUSED, "gas_limit"),
        ("invalid chain id for signer", SendStatus.REFUSED, "other"),
        ("Failed to decode transaction", SendStatus.REFUSED, "other"),
        # nobody's verdict
        ("internal error", SendStatus.UNKNOWN, "unrecognised"),
        ("unknown transaction", SendStatus.UNKNOWN, "unrecognised"),
        ("header not found", SendStatus.UNKNOWN, "unrecognised"),
        ("rate limit exceeded", SendStatus.UNKNOWN, "overloaded"),
        ("request timed out", SendStatus.UNKNOWN, "overloaded"),
    ],
)
def test_what_a_node_says_of_a_transaction(message: str, status: SendStatus, reason: str) -> None:
    found = judge(RpcError(-32000, message))
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize("code", [-32005, 429])
def test_an_overloaded_node_gives_no_verdict_whatever_its_words(code: int) -> None:
    error = RpcError(code, "nonce too low")
    assert is_overload(error)
    assert judge(error).status is SendStatus.UNKNOWN


@given(st.integers(), st.text(), st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_any_words_lead_to_a_verdict(code: int, message: str, data: Any) -> None:
    error = RpcError(code, message, data)
    assert judge(error).status in SendStatus
    assert reverted(error) is None or not reverted(error).ok  # type: ignore[union-attr]
