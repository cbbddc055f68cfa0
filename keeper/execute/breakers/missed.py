"""Counts blocks in which an opportunity was missed. Pure."""


class Missed:
    """Counts blocks that had liquidations worth sending, in which no transaction of this keeper was mined."""

    def __init__(self, limit_blocks: int) -> None:
        self._limit = limit_blocks
        self._blocks = 0

    def block(self, chance: bool, mined: bool) -> int:
        """How many in a row, at the limit and at each multiple, when an event is due; else 0."""
        self._blocks = self._blocks + 1 if chance and not mined else 0
        return self._blocks if self._blocks and self._blocks % self._limit == 0 else 0
