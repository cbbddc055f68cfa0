"""One keeper of several: it leads while it has the right to write, and waits, with a warm book, while another has."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

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


class Standby:
    """Behaves as its leader while it has the right to write, and refuses every plan while it has not.

    `open_journal` blocks, and raises OperatorError while another keeper writes. `lead` makes a journal's leader, with
    what was left taken up, and closes the journal when it cannot. `took_over` is set after a takeover: the next
    block may be far. `locks` are given back at the end.
    """

    def __init__(
        self,
        address: bytes,
        open_journal: Callable[[], Journal],
        lead: Callable[[Journal], Awaitable[Execution]],
        emit: Emit,
        interval_s: float,
        locks: Sequence[WriterLock] = (),
    ) -> None:
        self._address = address
        self._open = open_journal
        self._lead = lead
        self.took_over = asyncio.Event()
        self._emit = emit
        self._interval_s = interval_s
        self._locks = locks
        self._turn = asyncio.Lock()
        self._leader: Execution | None = None
        self._right = ""
        self._may_send: Callable[[], bool] = lambda: False
        self._why = ""
        self._holds: list[tuple[str, BreakerName]] = []
        self._keeping: asyncio.Task[str] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, patient: bool) -> None:
        """Lead at once, or wait when `patient`. Raises what keeps it from leading, exit code 3 for another keeper."""
        try:
            await self._begin(await self._opened())
        except OperatorError as error:
            if not patient or error.exit_code != HELD:
                raise
            self._wait(str(error))
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Lead, wait, lead again."""
        while True:
            if self._keeping is not None:
                why = await self._keeping
                await self._step_down()
                self._why = why
                self._emit(Event(LEASE_LOST, f"this keeper sends nothing more: {why}", None, {"reason": why}))
            await asyncio.sleep(self._interval_s / 2)
            try:
                await self._begin(await self._opened())
            except (OperatorError, Transient, Unwritable) as error:
                self._wait(str(error))
            else:
                self.took_over.set()

    async def _opened(self) -> Journal:
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(OperatorError):
                (await opening).close()
            raise

    def _wait(self, why: str) -> None:
        if why != self._why:
            self._why = why
            self._emit(Event(LEASE_WAITING, f"standing by with a warm book: {why}", None, {"reason": why}))

    async def _begin(self, journal: Journal) -> None:
        """Start-up, whether or not another led before. The lease is renewed meanwhile."""
        keeping = asyncio.create_task(Renewal(journal.right, lambda: journal.failure, self._interval_s).run())
        try:
            leader = await self._lead(journal)
        except BaseException:
            keeping.cancel()
            raise
        for reason, breaker in self._holds:
            leader.hold(reason, breaker)
        self._right, self._why, self._may_send = str(journal.right), "", journal.right.is_valid
        self._leader, self._keeping = leader, keeping
        self._emit(Event(LEASE_ACQUIRED, f"this keeper leads, by {self._right}", None, {"lease": self._right}))

    async def _step_down(self) -> None:
        """What is being done right now ends first."""
        async with self._turn:
            leader, self._leader = self._leader, None
            keeping, self._keeping = self._keeping, None
            if keeping is not None:
                keeping.cancel()
            if leader is not None:
                await leader.close()

    @property
    def address(self) -> bytes | None:
        return self._address

    @property
    def held(self) -> str:
        leader = self._leader  # another thread may ask while it changes
        if leader is None:
            return f"standing by: {self._why}"
        return leader.held or ("" if self._may_send() else f"{self._right} ran out")

    @property
    def pending(self) -> int:
        leader = self._leader
        return leader.pending if leader else 0

    @property
    def role(self) -> str:
        return f"leads, by {self._right}" if self._leader else f"stands by: {self._why}"

    async def submit(self, plans: Sequence[Plan], snapshot: Snapshot, timestamp: int) -> list[Rejected]:
        async with self._turn:
            if self._leader is None:
                return [rejected(plan, Rejection.HOLD, self.held) for plan in plans]
            try:
                return await self._leader.submit(plans, snapshot, timestamp)
            except LeaseLost as error:
                return [rejected(plan, Rejection.HOLD, f"not sent: {error}") for plan in plans]

    async def follow(self, snapshot: Snapshot) -> None:
        if self._task is not None and self._task.done():
            self._task.result()  # raises what ended it
        async with self._turn:
            if self._leader is not None:
                with suppress(LeaseLost):  # the renewal finds out as well, emits lease.lost and steps down
                    await self._leader.follow(snapshot)

    def in_flight(self) -> InFlight:
        return self._leader.in_flight() if self._leader else InFlight()

    def hold(self, reason: str, breaker: BreakerName = BreakerName.INVARIANT) -> None:
        """What this keeper found out about itself holds it as a leader, too, now or later."""
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
        """Give the right back, so that another need not wait for its end."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._step_down()
        for lock in self._locks:
            lock.close()
