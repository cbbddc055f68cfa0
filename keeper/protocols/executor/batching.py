"""Batches: several plans of one executor in one transaction, which saves base gas and reads warm storage. Pure.

Each step keeps its own least profit and gas limit; one that fails is undone alone. All together must earn what the gas
of them all costs at the bid, or nothing happens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

from keeper.model.chain import Call
from keeper.model.intent import Intent
from keeper.model.plan import Opportunity, Plan
from keeper.protocols.executor.gas import BATCH_GAS
from keeper.protocols.executor.orders import Batch, Single, accounts_of, order_of

BATCH = "batch"
_STEP_GAS = 20_000  # beside a step's own: its calldata, its event, the contract's GAS_TO_SKIP
_END_GAS = 100_000  # the transaction's base and the contract's GAS_TO_END


def packed(plans: Sequence[Plan], most: int, max_gas: int) -> list[Plan]:
    """The plans, those that go together as batches of at most `most` steps and `max_gas` gas, best first.

    Together go orders of one kind to one executor whose profit is in one token.
    """
    if most == 1:
        return list(plans)
    groups = list[list[Plan]]()
    for plan in plans:
        fitting = (group for group in groups if len(group) < most and _belongs(plan, group, max_gas))
        group = next(fitting, None)
        if group is None:
            groups.append([plan])
        else:
            group.append(plan)
    made = [_batch(group) if len(group) > 1 else group[0] for group in groups]
    return sorted(made, key=lambda plan: -plan.score)


def members(intent: Intent) -> list[bytes]:
    """The accounts that an intent is about."""
    return accounts_of(intent.data) if intent.kind == BATCH else [intent.account]


def _belongs(plan: Plan, group: Sequence[Plan], max_gas: int) -> bool:
    first, order = order_of(group[0].call.data), order_of(plan.call.data)
    if order is None or isinstance(order, Batch) or type(order) is not type(first):
        return False
    tokens = {_profit_token(other) for other in (plan, group[0])}
    alike = plan.call.to == group[0].call.to and len(tokens) == 1 and b"" not in tokens
    return alike and _gas_limit([*group, plan]) <= max_gas


def _profit_token(plan: Plan) -> bytes:
    """The one token in which a plan pays; empty when there are several, or none."""
    tokens = list(plan.opportunity.rewards)
    return tokens[0] if len(tokens) == 1 else b""


def _gas_limit(plans: Sequence[Plan]) -> int:
    """Enough for every step to start with its own limit: a call gets at most 63/64 of the gas left."""
    return sum(plan.opportunity.gas_limit * 64 // 63 + _STEP_GAS for plan in plans) + _END_GAS


def _batch(plans: Sequence[Plan]) -> Plan:
    orders = [order for plan in plans if isinstance(order := order_of(plan.call.data), Single)]
    steps = tuple((plan.call.data, plan.opportunity.gas_limit) for plan in plans)
    alone = sum(plan.opportunity.gas for plan in plans)
    gas = _expected_gas(alone, orders)
    # Steps may fail alone: all together have to pay for their gas, not to bring what each was quoted at. One that does
    # not fail brings at least what the executor allows.
    covered = sum(order.min_profit * plan.covering for order, plan in zip(orders, plans, strict=True))
    least = max(ceil(covered * gas / alone), min(order.min_profit for order in orders))
    order = Batch(steps, _profit_token(plans[0]), least, min(order.deadline for order in orders))
    bid = min(plan.bid for plan in plans)  # each step's least profit pays for its gas up to its own bid
    return replace(
        plans[0],
        opportunity=_together([plan.opportunity for plan in plans], plans[0].call.to, gas, _gas_limit(plans)),
        call=Call(plans[0].call.to, order.data()),
        max_fee=min(max(plan.max_fee for plan in plans), bid),
        bid=bid,
        value_wad=sum(plan.value_wad for plan in plans),
        score=sum(plan.score for plan in plans),
        deadline_block=min(plan.deadline_block for plan in plans),
        covering=Fraction(1),
        data_fee=sum(plan.data_fee for plan in plans),
    )


def _expected_gas(alone: int, orders: Sequence[Single]) -> int:
    return max(alone + BATCH_GAS - orders[0].saves_gas * (len(orders) - 1), alone // 2)


def _together(opportunities: Sequence[Opportunity], to: bytes, gas: int, gas_limit: int) -> Opportunity:
    """The sums of all opportunities, as one."""
    first = opportunities[0]
    uses = {key: limit for one in opportunities for key, (_, limit) in one.uses.items()}
    return replace(
        first,
        account=to,
        kind=BATCH,
        subject=f"{len(opportunities)} accounts",
        size=len(opportunities),
        notional_wad=sum(one.notional_wad for one in opportunities),
        reward_wad=sum(one.reward_wad for one in opportunities),
        rewards=_summed([one.rewards for one in opportunities]),
        spends=_summed([one.spends for one in opportunities]),
        uses={key: (sum(one.uses.get(key, (0, 0))[0] for one in opportunities), limit) for key, limit in uses.items()},
        gas=gas,
        gas_limit=gas_limit,
        bad_debt_prevented_wad=sum(one.bad_debt_prevented_wad for one in opportunities),
        partial=any(one.partial for one in opportunities),
        details={},
    )


def _summed(parts: Sequence[Mapping[bytes, int]]) -> dict[bytes, int]:
    return {token: sum(part.get(token, 0) for part in parts) for part in parts for token in part}
