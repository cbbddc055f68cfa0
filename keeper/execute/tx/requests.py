"""What is about to become an intent: a plan's liquidation, an approval, or the filling of a nonce gap."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keeper.execute.tx.fees import Fees
from keeper.model.chain import Call
from keeper.model.intent import Route
from keeper.model.plan import Plan

APPROVE = "approve"
FILL = "fill"


@dataclass(frozen=True, slots=True)
class Draft:
    """An intent that has no nonce yet."""

    account: bytes
    kind: str
    subject: str
    size: int
    call: Call
    gas_limit: int
    fees: Fees
    bid: int  # wei
    value_wad: int
    planned_block: int
    deadline_block: int
    uses: Mapping[str, int] = field(default_factory=dict)
    spends: Mapping[bytes, int] = field(default_factory=dict)
    route: Route = Route.PUBLIC


def from_plan(plan: Plan, limit: int, route: Route = Route.PUBLIC) -> Draft:
    """The draft of a plan, its first fee held under `limit` (wei)."""
    chosen = plan.opportunity
    max_fee = min(plan.max_fee, limit)
    return Draft(
        account=plan.account,
        kind=chosen.kind,
        subject=chosen.subject,
        size=chosen.size,
        call=plan.call,
        gas_limit=chosen.gas_limit,
        fees=Fees(max_fee, min(plan.priority_fee, max_fee)),
        bid=plan.bid,
        value_wad=plan.value_wad,
        planned_block=plan.planned_block,
        deadline_block=plan.deadline_block,
        uses={key: amount for key, (amount, _) in chosen.uses.items()},
        spends=dict(chosen.spends),
        route=route,
    )
