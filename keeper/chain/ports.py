"""What the other stages need from the network. `keeper/chain` implements it, and so may tests."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Protocol

from keeper.model.chain import BlockRef, Call, CallResult, Log, LogFilter, Receipt
from keeper.model.fees import CallFees
from keeper.model.intent import Route, SendResult


class ChainReader(Protocol):
    """Reads, each pinned to a block hash where the node allows it. All raise Transient without a usable answer."""

    async def head(self) -> BlockRef:
        """The newest block."""
        ...

    async def block_by_number(self, number: int) -> BlockRef:
        """A canonical block. Raises Transient when the node does not have it."""
        ...

    async def block_by_hash(self, block_hash: bytes) -> BlockRef:
        """A block by its hash."""
        ...

    async def logs_at(self, block: BlockRef, wanted: LogFilter) -> list[Log]:
        """The logs of one block, asked by its hash and checked against its bloom, in order."""
        ...

    def logs_between(self, first: int, last: int, wanted: LogFilter) -> AsyncIterator[list[Log]]:
        """Logs of canonical blocks first..last, in order, in pages of as many blocks as the node can serve."""
        ...

    async def read(self, block: BlockRef, calls: Sequence[Call]) -> list[CallResult]:
        """Many views in one `eth_call` at the block's hash."""
        ...

    async def call(
        self,
        call: Call,
        sender: bytes,
        block: BlockRef,
        timestamp: int | None = None,
        gas: int | None = None,
        fees: CallFees | None = None,
    ) -> CallResult:
        """Simulate one transaction in the block after `block`, at `timestamp`, where the node can; else in `block`."""
        ...

    async def balance(self, account: bytes, block: BlockRef | None = None) -> int:
        """Wei."""
        ...

    async def code(self, address: bytes) -> bytes:
        """Code at the newest block."""
        ...

    async def nonce(self, account: bytes, block: BlockRef) -> int:
        """Count of the account's transactions up to a block."""
        ...

    async def sent_by(self, account: bytes, nonces: Collection[int], after: int, last: int) -> list[bytes]:
        """Hashes of an account's transactions with these nonces, mined in blocks `after` + 1 to `last`."""
        ...


class ChainSender(Protocol):
    """Sends transactions and looks for them on the chain."""

    async def send_raw(self, raw: bytes) -> SendResult:
        """Send signed bytes to all nodes, once each, never retried. Does not raise."""
        ...

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        """None while it is not mined. Raises Transient."""
        ...

    async def transaction(self, tx_hash: bytes) -> Mapping[str, Any] | None:
        """None when the node does not know it. Raises Transient."""
        ...

    async def nonce(self, account: bytes) -> int:
        """Count of mined transactions. Raises Transient."""
        ...


class PrivateSender(Protocol):
    """Sends through relays, which show transactions to builders only."""

    async def send_private(self, raw: bytes, route: Route, head: int, until: int) -> SendResult:
        """Send signed bytes once, for blocks up to `until`; a bundle for the block after `head`. Does not raise."""
        ...

    async def cancel_private(self, raw: bytes, route: Route) -> bool:
        """Ask the relays to cancel. True when all confirmed. Does not raise."""
        ...

    async def close(self) -> None: ...
