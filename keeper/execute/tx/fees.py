"""Fees of first attempts, replacements and cancellations. Pure integers, wei."""

from keeper.model.chain import BlockRef
from keeper.model.fees import CallFees, Fees, fee_for_deadline, next_base_fee
from keeper.model.plan import Plan, Policy

_BUMP_PERCENT = 10  # what nodes ask of a replacement, on both fields


def next_base(block: BlockRef, policy: Policy) -> int:
    """The base fee of the block after this one."""
    chain = policy.base_fee_denominator, policy.base_fee_elasticity
    return next_base_fee(block.base_fee, block.gas_used, block.gas_limit, *chain)


def first_fees(plan: Plan, policy: Policy) -> Fees:
    """The fees of a plan's first attempt, under its bid and the fee cap."""
    max_fee = min(plan.max_fee, max_bid(plan.bid, policy.max_fee))
    return Fees(max_fee, min(plan.priority_fee, max_fee))


def call_fees(fees: Fees, block: BlockRef, policy: Policy) -> CallFees:
    """The fees with which a transaction is simulated on top of `block`: at least the base fee of the next block."""
    base = next_base(block, policy)
    max_fee = max(fees.max_fee, base)
    return CallFees(max_fee, min(fees.priority_fee, max_fee), base)


def bump(fee: int) -> int:
    """The least fee that replaces this one: +10 %, rounded up, and always more."""
    return max(-(-fee * (100 + _BUMP_PERCENT) // 100), fee + 1)


def max_bid(bid: int, cap: int) -> int:
    """The most that a liquidation may offer: its bid, and so far under the cap that a self-transfer can replace it."""
    return min(bid, cap * 100 // (100 + _BUMP_PERCENT))


def fee_until_deadline(block: BlockRef, blocks_left: int, tip: int, policy: Policy) -> int:
    """maxFeePerGas that stays valid through full blocks until the deadline."""
    chain = policy.base_fee_denominator, policy.base_fee_elasticity
    return fee_for_deadline(next_base(block, policy), tip, max(blocks_left - 1, 0), *chain)


def bumped_fees(known: Fees, need: int, limit: int) -> Fees | None:
    """Fees that replace the highest known at a nonce; None when that would go beyond the limit.

    Follows `need` as far as the limit allows, never less than the bump that nodes ask for.
    """
    least = bump(known.max_fee)
    if least > limit:
        return None
    max_fee = max(least, min(need, limit))
    return Fees(max_fee, min(bump(known.priority_fee), max_fee))
