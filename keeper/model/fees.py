"""EIP-1559 base fees in exact integers (wei). Denominator and elasticity are settings of the chain."""

from dataclasses import dataclass


def next_base_fee(base_fee: int, gas_used: int, gas_limit: int, denominator: int = 8, elasticity: int = 2) -> int:
    """Base fee of the block after one with these header values, by EIP-1559."""
    target = max(gas_limit // elasticity, 1)
    if gas_used > target:
        return base_fee + max(base_fee * (gas_used - target) // target // denominator, 1)
    return base_fee - base_fee * (target - gas_used) // target // denominator


def highest_base_fee(base_fee: int, blocks: int, denominator: int = 8, elasticity: int = 2) -> int:
    """Base fee after so many full blocks, rounded up in each: an upper bound.

    Holds for gas limits that are multiples of the elasticity; another adds at most one part in
    its gas target a block.
    """
    for _ in range(blocks):
        base_fee += max(-(-base_fee * (elasticity - 1) // denominator), 1)
    return base_fee


def fee_for_deadline(base_fee: int, tip: int, blocks: int, denominator: int = 8, elasticity: int = 2) -> int:
    """maxFeePerGas that stays includable for `blocks` full blocks after one whose base fee is `base_fee`."""
    return highest_base_fee(base_fee, blocks, denominator, elasticity) + tip


@dataclass(frozen=True, slots=True)
class Fees:
    """The two fee fields of a transaction, wei per gas."""

    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class CallFees:
    """Fees that a simulated transaction offers, and the base fee of the block it runs in. Wei per gas.

    `grant`: wei that the sender has in the simulation, where its own balance does not matter; 0 for its own.
    """

    max_fee: int
    priority_fee: int
    base_fee: int
    grant: int = 0
