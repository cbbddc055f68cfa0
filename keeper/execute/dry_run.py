"""The dry run: no signer, no sender, no journal; plans are simulated and logged, never sent."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from eth_utils.crypto import keccak

from keeper.chain.ports import ChainReader
from keeper.errors import Transient
from keeper.execute.execution import plan_made, rejected
from keeper.execute.tx.fees import call_fees, first_fees
from keeper.execute.tx.simulator import Simulator
from keeper.model.breaker import BreakerName
from keeper.model.events import Emit
from keeper.model.plan import InFlight, Plan, Policy, Rejected, Rejection
from keeper.protocols.base import Protocol, Snapshot

# Somebody who owns nothing: tokens refuse to pay the zero address.
NOBODY = keccak(text="dry run")[-20:]


class DryRun:
    """Says what a live keeper would send. An account is named again only after the cool-down."""

    address: bytes | None = None
    pending = 0  # nothing is ever sent
    broken = False  # nothing is ever written

    def __init__(self, reader: ChainReader, protocol: Protocol, policy: Policy, emit: Emit) -> None:
        self._simulator = Simulator(reader, protocol, NOBODY)
        self._policy = policy
        self._emit = emit
        self._cooling: dict[bytes, int] = {}
        self._held = ""
        self.took_over = asyncio.Event()

    @property
    def held(self) -> str:
        return self._held

    @property
    def role(self) -> str:
        return "dry run"

    async def submit(self, plans: Sequence[Plan], snapshot: Snapshot, timestamp: int) -> list[Rejected]:
        if self._held:
            return [rejected(plan, Rejection.HOLD, self._held) for plan in plans]
        refused = []
        for plan in plans:
            self._cooling[plan.account] = snapshot.block.number + self._policy.cooldown_blocks
            if problem := await self._problem(plan, snapshot, timestamp):
                refused.append(problem)
            else:
                self._emit(plan_made(plan, live=False))
        return refused

    async def _problem(self, plan: Plan, snapshot: Snapshot, timestamp: int) -> Rejected | None:
        chosen = plan.opportunity
        if any(units > 0 for units in chosen.spends.values()):
            return None  # NOBODY owns nothing: the simulation would only say so
        offered = call_fees(first_fees(plan, self._policy), snapshot.block, self._policy)
        fees = replace(offered, grant=chosen.gas_limit * offered.max_fee)  # NOBODY has no coins
        try:
            revert = await self._simulator.why_it_reverts(plan.call, chosen.gas_limit, snapshot.block, timestamp, fees)
        except Transient as error:
            return rejected(plan, Rejection.HOLD, f"not simulated: {error}")
        return rejected(plan, Rejection.SIMULATION_FAILED, str(revert)) if revert else None

    async def follow(self, snapshot: Snapshot) -> None:
        now = snapshot.block.number
        self._cooling = {account: until for account, until in self._cooling.items() if until > now}

    async def reconcile(self, snapshot: Snapshot) -> None:
        """There are no books."""

    def in_flight(self) -> InFlight:
        return InFlight(cooling=dict(self._cooling))

    def hold(self, reason: str, breaker: BreakerName = BreakerName.INVARIANT) -> None:  # noqa: ARG002
        self._held = self._held or reason

    def wanted(self) -> None:
        """Nothing is ever sent, so nothing is missed."""

    async def drain(self, timeout_s: float) -> None:
        """Nothing is ever in flight."""

    async def close(self) -> None:
        """Nothing was opened."""
