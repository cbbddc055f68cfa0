"""What a node's error means: a reverted call, a refused transaction, or an unknown outcome. Pure.

The words are from the sources of geth, reth, erigon and nethermind, and measured on anvil. Words decide, as codes
differ between nodes.
"""

import re
from typing import Any

from keeper.chain.errors import RpcError
from keeper.model.chain import CallResult
from keeper.model.intent import SendResult, SendStatus

_REVERT_CODES = frozenset({3, -32015})
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*(?![0-9a-fA-F])")

_REVERTED = ("revert", "vm execution error")
_HALTED = (
    "out of gas",
    "outofgas",
    "invalid opcode",
    "invalidfeopcode",
    "bad instruction",
    "badinstruction",
    "invalid jump",
    "bad jump destination",
    "badjumpdestination",
    "stack underflow",
    "stackunderflow",
    "stack limit reached",
    "stack overflow",
    "stackoverflow",
    "write protection",
    "statechangeduringstaticcall",
    "staticcallviolation",
    "evm error",
    "intrinsic gas too low",
    "callgascostmorethangaslimit",
    "gas required exceeds allowance",
)
# An overloaded or broken node says nothing about the call or the transaction.
_OVERLOAD_CODES = frozenset({-32005, -32016, -32017, 429})
_OVERLOAD = ("rate limit", "too many requests", "request limit", "timeout", "timed out", "capacity", "overloaded")

ALREADY_KNOWN = "already_known"
_INSUFFICIENT_FUNDS = re.compile(
    r"insufficient ?funds|insufficient (sender )?balance|overdraws from account|up-?front cost"
)
# In this order: the first that matches decides.
_REFUSALS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(words))
    for reason, words in (
        (
            ALREADY_KNOWN,
            r"already ?known|already imported|\bknown transaction|existing txn? with same hash|"
            r"transaction already exists|already in mempool",
        ),
        ("in_flight_limit", r"in-flight transaction limit|gapped-nonce tx from delegated"),
        ("other", r"authority nonce|authority already reserved|delegat"),
        (
            "replacement_underpriced",
            r"replacement (transaction )?underpriced|could not replace existing|insufficient gas price to replace|"
            r"replacementnotallowed|another transaction with same nonce",
        ),
        ("nonce_too_low", r"nonce (is )?too low|oldnonce|nonce has already been used"),
        (
            "nonce_too_high",
            r"nonce (is )?too high|nonce ?gap|gapped|nonce ?too ?far ?in ?(the )?future|future transaction tries",
        ),
        ("insufficient_funds", _INSUFFICIENT_FUNDS.pattern),
        ("fee_cap", r"exceeds the configured cap"),
        (
            "gas_limit",
            r"exceeds block('s)? gas limit|exceeds max transaction gas limit|gas limit reached|"
            r"gas limit (is )?too high|gaslimitexceeded|gaslimitcapexceeded|intrinsic gas too high|"
            r"gas ?uint(64)? ?overflow|gas is beyond limit|exceeds current gas limit",
        ),
        ("intrinsic_gas", r"intrinsic ?gas( too low)?\b|floor data gas|transaction gas is too low"),
        (
            "underpriced",
            r"underpriced|fee ?too ?low|less than block base fee|below chain minimum|below minimum|"
            r"gas price (supplied is )?too low",
        ),
        ("pool_full", r"pool is full|pool overflow"),
        (
            "other",
            r"invalid sender|(recover|resolve) ?sender|invalid signature|signature is invalid|chain ?id|"
            r"replay-protected|oversized|too large|maxtxsizeexceeded|type not supported|unsupported transaction type|"
            r"invalidtxtype|priority fee per gas higher|invalidmaxpriorityfee|decode|\brlp|negative value|initcode|"
            r"not an eoa|senderiscontract|already reserved|account limit exceeded|spammer|transaction invalid",
        ),
    )
)


def is_overload(error: RpcError) -> bool:
    """Whether the node is overloaded and did not process the request."""
    text = error.message.lower()
    return error.code in _OVERLOAD_CODES or any(word in text for word in _OVERLOAD)


def reverted(error: RpcError) -> CallResult | None:
    """The revert data of an `eth_call`'s error, empty when the EVM halted; None when the error is not a revert."""
    text = error.message.lower()
    data = _revert_data(error.data)
    if error.code in _REVERT_CODES or any(word in text for word in _REVERTED):
        return CallResult(ok=False, data=data or b"")
    if is_overload(error):
        return None
    if any(word in text for word in _HALTED):
        return CallResult(ok=False, data=b"")
    return None


def unfunded(error: RpcError) -> bool:
    """Whether the sender of an `eth_call` cannot pay for its gas at the fees given."""
    return not is_overload(error) and _INSUFFICIENT_FUNDS.search(error.message.lower()) is not None


def _revert_data(data: Any) -> bytes | None:
    """Find revert data in any form: plain hex, "Reverted 0x...", or a nested object."""
    if isinstance(data, dict):
        inner = data.get("data", data.get("originalError"))
        return _revert_data(inner)
    if isinstance(data, str) and (found := _HEX.search(data)):
        return bytes.fromhex(found.group()[2:])
    return None


def judge(error: RpcError) -> SendResult:
    """Classify an `eth_sendRawTransaction` error: accepted, refused with a reason, or unknown.

    A transaction that the node has already is accepted. Reasons: nonce_too_low, nonce_too_high, underpriced (its fee
    is below what the node or the block asks), replacement_underpriced, insufficient_funds, gas_limit, fee_cap (the node
    refuses to spend so much), intrinsic_gas, pool_full, in_flight_limit (of a delegated account), other. An
    unrecognised message leaves the outcome unknown.
    """
    text = error.message.lower()
    if is_overload(error):
        return SendResult(SendStatus.UNKNOWN, "overloaded", str(error))
    for reason, words in _REFUSALS:
        if words.search(text):
            status = SendStatus.ACCEPTED if reason == ALREADY_KNOWN else SendStatus.REFUSED
            return SendResult(status, reason, str(error))
    return SendResult(SendStatus.UNKNOWN, "unrecognised", str(error))
