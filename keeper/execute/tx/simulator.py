"""Simulates a transaction before it is sent, and finds out afterwards why it failed."""

from dataclasses import replace

from keeper.chain.ports import ChainReader
from keeper.errors import Transient
from keeper.model.chain import BlockRef, Call, Receipt
from keeper.model.fees import CallFees
from keeper.model.intent import Intent
from keeper.protocols.base import Protocol, Revert, RevertAction

_MORE_GAS = 2  # times the limit
OUT_OF_GAS = Revert("out_of_gas", (), RevertAction.BUG)  # the limit is too low for the call
UNFUNDED = Revert("insufficient_funds", (), RevertAction.RETRY)  # the node's own refusal, before the call


class Simulator:
    """Runs the exact call of a transaction on top of a block, as its sender."""

    def __init__(self, reader: ChainReader, protocol: Protocol, sender: bytes) -> None:
        self.reader = reader
        self.protocol = protocol
        self._sender = sender

    async def why_it_reverts(
        self, call: Call, gas_limit: int, block: BlockRef, timestamp: int, fees: CallFees | None = None
    ) -> Revert | None:
        """Why the call would revert in the next block; None when it would not. Raises Transient.

        With `fees` a contract sees the gas price and base fee of a transaction; UNFUNDED when the sender cannot pay.
        """
        after = max(timestamp, block.timestamp + 1)
        result = await self.reader.call(call, self._sender, block, after, gas_limit, fees)
        if result.unfunded:
            return UNFUNDED
        if result.ok:
            return None
        if not result.data and await self._passes_with_more(call, gas_limit, block, after, fees):
            return OUT_OF_GAS
        return self.protocol.explain(result.data)

    async def _passes_with_more(
        self, call: Call, gas_limit: int, block: BlockRef, timestamp: int, fees: CallFees | None
    ) -> bool:
        """Whether a call that failed without a reason fails for want of gas. The sender's balance does not matter."""
        most = min(_MORE_GAS * gas_limit, block.gas_limit)
        if most <= gas_limit:
            return False
        granted = replace(fees, grant=most * fees.max_fee) if fees else None
        result = await self.reader.call(call, self._sender, block, timestamp, most, granted)
        return result.ok or bool(result.data)

    async def why_it_reverted(self, intent: Intent, receipt: Receipt) -> Revert | None:
        """Why a mined transaction failed, as far as its block and the one before can tell; None when they do not.

        A faster competitor acted in the same block, so the state after that block is tried first.
        """
        call = Call(intent.to, intent.data)
        try:
            block = await self.reader.block_by_hash(receipt.block_hash)
            price, base = receipt.effective_gas_price, block.base_fee
            fees = CallFees(price, max(price - base, 0), base, grant=intent.gas_limit * price)
            for state in (block, await self.reader.block_by_hash(block.parent)):
                result = await self.reader.call(call, self._sender, state, block.timestamp, intent.gas_limit, fees)
                if not result.ok:
                    return self.protocol.explain(result.data)
        except Transient:
            return None
        return None
