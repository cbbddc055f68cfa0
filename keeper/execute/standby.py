"""One keeper of several: it sends while it has the right to write, and follows the chain while another has it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol as Interface

from keeper.errors import LeaseLost, OperatorError, Transient, Unwritable
from keeper.execute.execution import Execution, rejected
from keeper.execute.journal.journal import Journal
from keeper.execute.leadership.file_lock import WriterLock
from keeper.execute.leadership.renewal import Renewal
from keeper.execute.leadership.right import HELD
from keeper.model.breaker import BreakerName
from keeper.model.events import LEASE_ACQUIRED, LEASE_LOST, LEASE_WAITING, Emit, Event
from keeper.model.plan import InFlight, Plan, Rejected, Rejection
from keeper.protocols.base import Snapshot

RENEWALS = 4  # in the time of a lease


class Candidate(Interface):
    """A keeper that may lead."""

    @property
    def address(self) -> bytes:
        """Of its signer."""
        ...

    def open_journal(self) -> Journal:
        """Blocks. Raises OperatorError while another keeper writes."""
        ...

    async def lead(self, journal: Journal) -> Execution:
        """With what was left taken up. Closes the journal when it cannot lead, and raises why."""
        ...


class Standby:
    """Behaves as its leader while it has the right to write, and refuses every plan while it has not.

    `took_over` is set after a takeover: the next block may be far. `locks` are given back at the end.
    """

    def __init__(self, candidate: Candidate, emit: Emit, interval_s: float, locks: Sequence[WriterLock] = ()) -> None:
        self._candidate = candidate
        self._emit = emit
        self._interval_s = interval_s
        self._locks = locks
        self.took_over = asyncio.Event()
        self._lock = asyncio.Lock()
        self._leader: Execution | None = None
        self._right = ""
        self._may_send: Callable[[], bool] = lambda: False
        self._why = ""
        self._was_broken = False
        self._holds: list[tuple[str, BreakerName]] = []
        self._renewal_task: asyncio.Task[str] | None = None
        self._election_task: asyncio.Task[None] | None = None

    async def start(self, patient: bool) -> None:
        """Lead at once, or wait when `patient`. Raises what keeps it from leading, exit code 3 for another keeper."""
        try:
            await self._begin(await self._opened())
        except OperatorError as error:
            if not patient or error.exit_code != HELD:
                raise
            self._wait(str(error))
        self._election_task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Lead, wait, lead again."""
        while True:
            if self._renewal_task is not None:
                why = await self._renewal_task
                await self._step_down()
                self._why = why
                self._emit(Event(LEASE_LOST, f"stopped sending: {why}", None, {"reason": why}))
            await asyncio.sleep(self._interval_s / 2)
            try:
                await self._begin(await self._opened())
            except (OperatorError, Transient, Unwritable) as error:
                self._wait(str(error))
            else:
                self.took_over.set()

    async def _opened(self) -> Journal:
        opening = asyncio.ensure_future(asyncio.to_thread(self._candidate.open_journal))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(OperatorError):
                (await opening).close()
            raise

    def _wait(self, why: str) -> None:
        if why != self._why:
            self._why = why
            self._emit(
                Event(LEASE_WAITING, f"waiting to become leader, following the chain: {why}", None, {"reason": why})
            )

    async def _begin(self, journal: Journal) -> None:
        """Start to lead. The lease is renewed meanwhile."""
        renewal = asyncio.create_task(Renewal(journal.right, lambda: journal.failure, self._interval_s).run())
        try:
            leader = await self._candidate.lead(journal)
        except BaseException:
            renewal.cancel()
            raise
        for reason, breaker in self._holds:
            leader.hold(reason, breaker)
        self._right, self._why, self._may_send = str(journal.right), "", journal.right.is_valid
        self._leader, self._renewal_task = leader, renewal
        self._emit(Event(LEASE_ACQUIRED, f"became leader (holds {self._right})", None, {"lease": self._right}))

    async def _step_down(self) -> None:
        """Stop leading once the current submission or block is done."""
        async with self._lock:
            leader, self._leader = self._leader, None
            renewal, self._renewal_task = self._renewal_task, None
            if renewal is not None:
                renewal.cancel()
            if leader is not None:
                self._was_broken |= leader.broken
                await leader.close()

    @property
    def address(self) -> bytes | None:
        return self._candidate.address

    @property
    def held(self) -> str:
        leader = self._leader  # another thread may ask while it changes
        if leader is None:
            return f"standing by: {self._why}"
        return leader.held or ("" if self._may_send() else f"{self._right} ran out")

    @property
    def broken(self) -> bool:
        return self._was_broken or (self._leader is not None and self._leader.broken)

    @property
    def pending(self) -> int:
        leader = self._leader
        return leader.pending if leader else 0

    @property
    def role(self) -> str:
        return f"leader ({self._right})" if self._leader else f"standby: {self._why}"

    async def submit(self, plans: Sequence[Plan], snapshot: Snapshot, timestamp: int) -> list[Rejected]:
        async with self._lock:
            if self._leader is None:
                return [rejected(plan, Rejection.HOLD, self.held) for plan in plans]
            try:
                return await self._leader.submit(plans, snapshot, timestamp)
            except LeaseLost as error:
                return [rejected(plan, Rejection.HOLD, f"not sent: {error}") for plan in plans]

    async def follow(self, snapshot: Snapshot) -> None:
        if self._election_task is not None and self._election_task.done():
            self._election_task.result()  # raises what ended it
        async with self._lock:
            if self._leader is not None:
                with suppress(LeaseLost):  # the renewal finds out as well, emits lease.lost and steps down
                    await self._leader.follow(snapshot)

    async def reconcile(self, snapshot: Snapshot) -> None:
        async with self._lock:
            if self._leader is not None:
                with suppress(LeaseLost):
                    await self._leader.reconcile(snapshot)

    def in_flight(self) -> InFlight:
        return self._leader.in_flight() if self._leader else InFlight()

    def hold(self, reason: str, breaker: BreakerName = BreakerName.INVARIANT) -> None:
        """Holds the leader; a standby remembers it for when it leads."""
        if self._leader is not None:
            self._leader.hold(reason, breaker)
        else:
            self._holds.append((reason, breaker))

    def wanted(self) -> None:
        if self._leader is not None:
            self._leader.wanted()

    async def drain(self, timeout_s: float) -> None:
        if self._leader is not None:
            await self._leader.drain(timeout_s)

    async def close(self) -> None:
        """Give the right back at once, so that another keeper does not wait until it expires."""
        if self._election_task is not None:
            self._election_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._election_task
        await self._step_down()
        for lock in self._locks:
            lock.close()
