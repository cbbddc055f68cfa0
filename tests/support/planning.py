"""What the planner would send on a snapshot, with plenty of everything, by the same code as the daemon's."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from keeper.model.health import WAD
from keeper.model.plan import Funds, InFlight, OwnLiquidation, Plan, Policy, Schedule
from keeper.plan.planner import Situation, choose
from keeper.protocols.base import Means, Protocol, Snapshot
from keeper.risk.screening import assess

GWEI = 10**9
EXACT = Means(max_slip=Fraction(0))  # of the adapter: one unit less than the quote reverts


def planned(
    protocol: Protocol, snapshot: Snapshot, timestamp: int, in_flight: InFlight | None = None, **changes: Any
) -> Schedule:
    """The schedule for a block at `timestamp`. Calls revert below their quote, unless `max_slip` says otherwise."""
    block = replace(snapshot.block, base_fee=GWEI, gas_limit=10**9)
    values: dict[str, Any] = {
        "target_wad": 11 * WAD // 10,
        "min_profit_wad": 0,
        "bad_debt_weight": 0.0,
        "max_fee": 500 * GWEI,
        "priority_fee": GWEI,
        "deadline_blocks": 6,
        "max_in_flight": 64,
        "gas_share": 1.0,
        "max_slip": Fraction(0),
    }
    plenty = dict.fromkeys(protocol.purse(snapshot.state), 2**100)
    situation = Situation(
        replace(snapshot, block=block), timestamp, Funds(10**6 * WAD, 3_000 * WAD, plenty), in_flight or InFlight()
    )
    assessment = assess(protocol, situation.snapshot, timestamp)
    return choose(protocol, situation, assessment, Policy(**{**values, **changes}))


def in_flight(plans: Sequence[Plan]) -> InFlight:
    """These plans, sent and not mined yet."""
    uses = [{key: amount for key, (amount, _) in plan.opportunity.uses.items()} for plan in plans]
    return InFlight(
        accounts=frozenset(plan.account for plan in plans),
        uses={key: sum(one.get(key, 0) for one in uses) for some in uses for key in some},
        count=len(plans),
        ahead=tuple(OwnLiquidation((plan.account,), one) for plan, one in zip(plans, uses, strict=True)),
    )
