"""What is the same for everything that is done in one block."""

from dataclasses import dataclass

from keeper.model.chain import BlockRef


@dataclass(frozen=True, slots=True)
class Turn:
    """One block's work. `next_block_s`: seconds to the next block's timestamp, as last expected. `killed`: the kill
    switch is on, so everything on its way is cancelled.
    """

    block: BlockRef
    next_block_s: int
    killed: bool

    @property
    def number(self) -> int:
        return self.block.number

    @property
    def next_timestamp(self) -> int:
        """Seconds: when what is sent now is expected to execute."""
        return self.block.timestamp + self.next_block_s
