"""From a snapshot to plans."""

from collections import deque
from dataclasses import dataclass, field

from keeper.model.chain import BlockRef

UNLIMITED = 2**127


@dataclass(slots=True)
class BlockTimes:
    """Estimates the next block's timestamp, at which a transaction sent now executes."""

    stamps: deque[int] = field(default_factory=lambda: deque(maxlen=9))

    def saw(self, block: BlockRef) -> None:
        self.stamps.append(block.timestamp)

    def next_timestamp(self, block: BlockRef) -> int:
        """Seconds: the block's own plus the median distance of the newest blocks, at least one second."""
        steps = sorted(late - early for early, late in zip(self.stamps, list(self.stamps)[1:], strict=False))
        return block.timestamp + max(steps[len(steps) // 2] if steps else 1, 1)
