"""Makes the request of a transaction, from a plan or for the keeper's own account."""

from keeper.execute.signing.signer import UnsignedTx
from keeper.execute.tx.fees import fee_until_deadline, max_bid
from keeper.model.chain import BlockRef, Call
from keeper.model.fees import Fees
from keeper.model.intent import APPROVE, Route, TxRequest
from keeper.model.plan import Plan, Policy


def from_plan(plan: Plan, limit: int, route: Route = Route.PUBLIC) -> TxRequest:
    """The request of a plan, its first fee held under `limit` (wei)."""
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


def urgent_request(kind: str, sender: bytes, call: Call, gas_limit: int, block: BlockRef, policy: Policy) -> TxRequest:
    """A transaction of the keeper's own account that may cost the highest fee; it brings nothing by itself.

    Its first fee stays valid until the deadline. That of an approval leaves room for a cancellation to replace it.
    """
    limit = max_bid(policy.max_fee, policy.max_fee) if kind == APPROVE else policy.max_fee
    max_fee = min(fee_until_deadline(block, policy.deadline_blocks, policy.priority_fee, policy), limit)
    return TxRequest(
        account=sender,
        kind=kind,
        subject="",
        size=0,
        call=call,
        gas_limit=gas_limit,
        fees=Fees(max_fee, min(policy.priority_fee, max_fee)),
        bid=policy.max_fee,
        value_wad=0,
        planned_block=block.number,
        deadline_block=block.number + policy.deadline_blocks,
    )


def unsigned(request: TxRequest, chain_id: int, nonce: int) -> UnsignedTx:
    """A request as the signer gets it."""
    fees = request.fees
    call = request.call
    return UnsignedTx(chain_id, nonce, call.to, call.data, request.gas_limit, fees.max_fee, fees.priority_fee)
