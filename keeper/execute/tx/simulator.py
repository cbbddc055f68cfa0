"""Simulates a transaction before it is sent, and finds out afterwards why it failed."""

from keeper.chain.ports import ChainReader
from keeper.errors import Transient
from keeper.model.chain import BlockRef, Call, Receipt
from keeper.model.intent import Intent
from keeper.protocols.base import Protocol, Revert


class Simulator:
    """Runs the exact call of a transaction on top of a block, as its sender."""

    def __init__(self, reader: ChainReader, protocol: Protocol, sender: bytes) -> None:
        self.reader = reader
        self.protocol = protocol
        self._sender = sender

    async def why_it_reverts(self, call: Call, gas_limit: int, block: BlockRef, timestamp: int) -> Revert | None:
        """Why the call would revert in the next block; None when it would not. Raises Transient."""
        result = await self.reader.call(call, self._sender, block, max(timestamp, block.timestamp + 1), gas_limit)
        return None if result.ok else self.protocol.explain(result.data)

    async def why_it_reverted(self, intent: Intent, receipt: Receipt) -> Revert | None:
        """Why a mined transaction failed, as far as its block and the one before can tell; None when they do not.

        A faster competitor acted in the same block, so the state after that block is tried first.
        """
        call = Call(intent.to, intent.data)
        try:
            block = await self.reader.block_by_hash(receipt.block_hash)
            for state in (block, await self.reader.block_by_hash(block.parent)):
                result = await self.reader.call(call, self._sender, state, block.timestamp, intent.gas_limit)
                if not result.ok:
                    return self.protocol.explain(result.data)
        except Transient:
            return None
        return None
