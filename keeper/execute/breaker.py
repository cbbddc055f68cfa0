"""The breaker: after too many reverts in a row, or anything that must not happen, nothing new is sent. Pure."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Breaker:
    """Opens after `max_reverts` reverts in a row and closes by itself `reset_blocks` later.

    What `trip` opens stays open until a person closes it (a restart does).
    """

    max_reverts: int
    reset_blocks: int
    reason: str = ""
    _reverts: int = field(default=0, init=False)
    _until: int | None = field(default=None, init=False)

    @property
    def is_open(self) -> bool:
        return bool(self.reason)

    def reverted(self, block: int) -> bool:
        """Count a revert. True when this one opened the breaker."""
        self._reverts += 1
        if self.is_open or self._reverts < self.max_reverts:
            return False
        self.reason = f"{self._reverts} reverts in a row"
        self._until = block + self.reset_blocks
        return True

    def succeeded(self) -> None:
        """A mined liquidation ends the row."""
        self._reverts = 0

    def trip(self, reason: str) -> bool:
        """Open until closed by hand. True when it was not open for good already."""
        if self.is_open and self._until is None:
            return False
        self.reason = reason
        self._until = None
        return True

    def tick(self, block: int) -> bool:
        """Close when the time has come. True when this block closed it."""
        if self._until is None or block < self._until:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Close by hand."""
        self.reason = ""
        self._until = None
        self._reverts = 0
