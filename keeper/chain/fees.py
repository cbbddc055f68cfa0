"""The base fee of the next block and its bounds, in exact integers (EIP-1559). Pure.

`denominator` and `elasticity` differ by chain: 8 and 2 on mainnet, 250 and 6 on OP mainnet since Canyon.
"""


def next_base_fee(base_fee: int, gas_used: int, gas_limit: int, denominator: int = 8, elasticity: int = 2) -> int:
    """Wei a unit of gas, of the child of a block. EIP-1559, as go-ethereum's `eip1559.CalcBaseFee`.

    Raises ValueError for a gas limit below the elasticity.
    """
    target = gas_limit // elasticity
    if target <= 0:
        raise ValueError(f"gas limit {gas_limit} leaves no gas target")
    if gas_used == target:
        return base_fee
    if gas_used > target:
        return base_fee + max(base_fee * (gas_used - target) // target // denominator, 1)
    return max(base_fee - base_fee * (target - gas_used) // target // denominator, 0)


def highest_base_fee(base_fee: int, blocks: int, denominator: int = 8, elasticity: int = 2) -> int:
    """Wei: the most that the base fee can be after `blocks` full blocks, rounded up.

    base_fee * (1 + (elasticity - 1) / denominator) ** blocks, or one wei a block where that is more. Exact for gas
    limits that the elasticity divides; another limit can pass it by one part in the gas target.
    """
    scale: int = denominator**blocks
    grown: int = base_fee * (denominator + elasticity - 1) ** blocks
    return max(-(-grown // scale), base_fee + blocks)


def lowest_base_fee(base_fee: int, blocks: int, denominator: int = 8) -> int:
    """Wei: the least that the base fee can be after `blocks` empty blocks, rounded down."""
    scale: int = denominator**blocks
    shrunk: int = base_fee * (denominator - 1) ** blocks
    return shrunk // scale


def max_fee_for(base_fee: int, priority_fee: int, blocks: int, denominator: int = 8, elasticity: int = 2) -> int:
    """Wei: the maxFeePerGas that stays includable for `blocks` blocks whatever happens: highest base fee plus tip."""
    return highest_base_fee(base_fee, blocks, denominator, elasticity) + priority_fee
