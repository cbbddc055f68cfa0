"""The current state of a running keeper, for gauges that are read between blocks."""

from dataclasses import dataclass, field
from typing import Protocol

from keeper.clock import Clock, SystemClock
from keeper.model.assessment import Assessment
from keeper.model.chain import BlockRef
from keeper.model.plan import InFlight


class Sending(Protocol):
    """The part of the execution that gauges and the status file show. Properties may be read from any thread."""

    @property
    def held(self) -> str:
        """Why nothing new is sent; empty while sending is allowed."""
        ...

    @property
    def pending(self) -> int:
        """Transactions without an outcome."""
        ...

    @property
    def role(self) -> str:
        """Among keepers that share a signer: starts with "standby" while another one leads."""
        ...

    def in_flight(self) -> InFlight:
        """What pending transactions draw on. On the event loop only."""
        ...


@dataclass(slots=True)
class KeeperState:
    """Written by the daemon on the event loop, read at each scrape on the thread of the metrics server."""

    clock: Clock = field(default_factory=SystemClock)
    block: BlockRef | None = None  # the newest block applied
    assessment: Assessment = field(default_factory=Assessment)
    sending: Sending | None = None
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.clock.now()

    @property
    def held(self) -> str:
        """Why nothing new is sent; empty while sending is allowed, and before the execution is built."""
        return self.sending.held if self.sending else ""

    @property
    def pending(self) -> int:
        """Transactions without an outcome."""
        return self.sending.pending if self.sending else 0

    @property
    def standby(self) -> bool:
        """Whether it waits for another keeper that leads, or for a journal that can be written."""
        return self.sending is not None and self.sending.role.startswith("standby")

    @property
    def nearest_health(self) -> float:
        """Health of the safe account nearest to liquidation; 0 without one."""
        return self.assessment.nearest.health if self.assessment.nearest else 0.0

    @property
    def head_age_s(self) -> float:
        """Seconds since the newest block's timestamp; before the first block, since the keeper started."""
        return self.clock.now() - (self.block.timestamp if self.block else self._since)
