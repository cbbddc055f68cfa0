"""What a node's `eth_call` supports, and how a simulated transaction is worded for it. Pure."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keeper.model.chain import BlockRef, hexed
from keeper.model.fees import CallFees

_WORD = 32

# What a contract sees of its block: our name, and how nodes name the field that overrides it. geth renamed three of
# them with `eth_simulateV1`; most other nodes take either name, not both.
NEW_NAMES = {
    "time": "time",
    "number": "number",
    "base fee": "baseFeePerGas",
    "randomness": "prevRandao",
    "fee recipient": "feeRecipient",
}
OLD_NAMES = {**NEW_NAMES, "base fee": "baseFee", "randomness": "random", "fee recipient": "coinbase"}
FEES, PARENT_HASH = "fees", "parent hash"


@dataclass(slots=True)
class Abilities:
    """What this node's `eth_call` supports: overrides, and fees as in a transaction.

    `strict`: it heeds fees only when asked to, as Besu. `block_fields`: what of the block it overrides, by our name.
    `fee_recipient`: an earlier block's. `missing`: by what a contract can tell a simulation from a transaction.
    """

    code_override: bool = False
    fees: bool = True
    strict: bool = False
    block_fields: Mapping[str, str] = field(default_factory=dict)
    fee_recipient: str = ""
    missing: tuple[str, ...] = ()

    def takes(self, fees: CallFees) -> bool:
        """Whether a call can offer these fees. A sender is given coins by a state override, as code is."""
        return self.fees and (self.code_override or not fees.grant)

    def fields(self, fees: CallFees | None, block: BlockRef) -> dict[str, Any]:
        """The fee fields of a transaction in JSON-RPC, on top of a block."""
        if fees is None or not self.takes(fees):
            return {}
        least = 0 if "base fee" in self.block_fields else block.base_fee  # what the node compares them with
        max_fee = max(fees.max_fee, least)
        found = {"maxFeePerGas": hex(max_fee), "maxPriorityFeePerGas": hex(min(fees.priority_fee, max_fee))}
        return {**found, "strict": True} if self.strict else found

    def overrides(
        self, sender: bytes, block: BlockRef, timestamp: int | None, fees: CallFees | None
    ) -> list[dict[str, Any]]:
        """State and block overrides for a call in the block after `block`; empty where the node has none."""
        fees = fees if fees is not None and self.takes(fees) else None
        state = {hexed(sender): {"balance": hex(fees.grant)}} if fees and fees.grant else {}
        if next_block := self._next_block(block, timestamp, fees):
            return [state, next_block]
        return [state] if state else []

    def _next_block(self, block: BlockRef, timestamp: int | None, fees: CallFees | None) -> dict[str, str]:
        if timestamp is None or "time" not in self.block_fields:
            return {}
        wanted = {
            "time": hex(timestamp),
            "number": hex(block.number + 1),
            "randomness": hexed(secrets.token_bytes(_WORD)),
            "fee recipient": self.fee_recipient,
        }
        if fees is not None:
            wanted["base fee"] = hex(fees.base_fee)
        return {self.block_fields[name]: value for name, value in wanted.items() if name in self.block_fields}
