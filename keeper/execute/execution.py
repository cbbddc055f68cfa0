"""What the daemon sees of sending: live and dry run look alike."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from keeper.abi import checksum
from keeper.model.breaker import BreakerName
from keeper.model.events import PLAN_MADE, Event
from keeper.model.health import WAD
from keeper.model.plan import InFlight, Plan, Rejected, Rejection, Shortage
from keeper.protocols.base import Snapshot


class Execution(Protocol):
    """Sends plans and follows each, block by block, until it has ended.

    `took_over` is set when this keeper takes over from another while it runs: what it decided before is out of date.
    `broken`: an invariant broke since the start, which the exit code says.
    """

    took_over: asyncio.Event

    @property
    def broken(self) -> bool: ...

    @property
    def address(self) -> bytes | None:
        """The keeper's address; None in a dry run, which has no signer."""
        ...

    @property
    def held(self) -> str:
        """Why nothing new is sent; empty while sending is allowed."""
        ...

    @property
    def pending(self) -> int:
        """Transactions without an outcome. Callable from any thread, as `held` is."""
        ...

    @property
    def role(self) -> str:
        """Among keepers that share a signer: whether this one leads or stands by."""
        ...

    async def submit(self, plans: Sequence[Plan], snapshot: Snapshot, timestamp: int) -> list[Rejected]:
        """Simulate and send plans, best first; returns those that were not sent. timestamp: the next block's, expected.

        Emits plan.made and tx.* events; what it returns is for the caller to report.
        """
        ...

    async def follow(self, snapshot: Snapshot) -> None:
        """Do one block's work for all pending transactions: book, replace, cancel, send again."""
        ...

    async def reconcile(self, snapshot: Snapshot) -> None:
        """Compare what signer and executor hold with the books, once everything of the block is sent."""
        ...

    def in_flight(self) -> InFlight:
        """What pending transactions draw on: accounts, limits and funds."""
        ...

    def hold(self, reason: str, breaker: BreakerName = BreakerName.INVARIANT) -> None:
        """Send nothing new until the breaker is closed; pending transactions are still followed."""
        ...

    def wanted(self) -> None:
        """Count this block as one with something worth sending, which the fee cap or the funds forbid to plan."""
        ...

    async def drain(self, timeout_s: float) -> None:
        """Take no more plans and wait for the send that is under way."""
        ...

    async def close(self) -> None:
        """Close the journal and all connections."""
        ...


def plan_made(plan: Plan, live: bool) -> Event:
    """The event of a plan that was simulated and, when live, is about to be sent."""
    chosen = plan.opportunity
    fields: dict[str, Any] = {
        "account": checksum(plan.account),
        "kind": chosen.kind,
        "subject": chosen.subject,
        "size": str(chosen.size),
        "value_usd": round(plan.value_wad / WAD, 6),
        "health_before_wad": str(chosen.before.health_wad),
        "health_after_wad": str(chosen.after.health_wad),
        "max_fee_wei": str(plan.max_fee),
        "live": live,
    }
    net = f"net {plan.value_wad / WAD:.2f} USD" + ("" if live else " (dry run: not sent)")
    message = f"planned {chosen.kind} of {chosen.subject}, account {checksum(plan.account)}: {net}"
    return Event(PLAN_MADE, message, plan.planned_block, fields)


def rejected(plan: Plan, reason: Rejection, message: str, shortage: Shortage | None = None) -> Rejected:
    """A plan that is not sent. `shortage`: of INSUFFICIENT_FUNDS."""
    return Rejected(plan.account, reason, message, plan.opportunity.before.health_wad, shortage)
