"""Accounts whose transactions pass the simulation and revert on chain: each further one waits twice as long. Pure."""

from dataclasses import dataclass

MOST_BLOCKS = 640
LOST_RACES = 3  # in a row for one account: from this one on they count as failures


@dataclass(slots=True)
class _AccountRecord:
    """What receipts say of one account since its last success."""

    failures: int = 0
    lost: int = 0  # races in a row
    block: int = 0  # of the newest


class Backoff:
    """Counts reverts on chain by account, until a liquidation of the account succeeds.

    first_blocks: the first wait.
    """

    def __init__(self, first_blocks: int) -> None:
        self._first_blocks = first_blocks
        self._records: dict[bytes, _AccountRecord] = {}

    def failed(self, account: bytes, block: int, lost: bool) -> int:
        """Count a revert. The block until which the account is left alone; 0 for a lost race that does not count."""
        self._forget(block)
        record = self._records.setdefault(account, _AccountRecord())
        record.block = block
        record.lost = record.lost + 1 if lost else 0
        if lost and record.lost < LOST_RACES:
            return 0
        wait = min(self._first_blocks << min(record.failures, MOST_BLOCKS.bit_length()), MOST_BLOCKS)
        record.failures += 1
        return block + max(wait, self._first_blocks)

    def succeeded(self, account: bytes) -> None:
        """A liquidation of the account was mined."""
        self._records.pop(account, None)

    def _forget(self, block: int) -> None:
        """Drop the accounts without a revert for so long that the longest wait has passed twice."""
        oldest = block - 2 * max(MOST_BLOCKS, self._first_blocks)
        self._records = {account: record for account, record in self._records.items() if record.block >= oldest}
