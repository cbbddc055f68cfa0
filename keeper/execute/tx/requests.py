"""From a plan to the request of a transaction."""

from keeper.model.fees import Fees
from keeper.model.intent import Route, TxRequest
from keeper.model.plan import Plan


def from_plan(plan: Plan, limit: int, route: Route = Route.PUBLIC) -> TxRequest:
    """The draft of a plan, its first fee held under `limit` (wei)."""
    chosen = plan.opportunity
    max_fee = min(plan.max_fee, limit)
    return TxRequest(
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
