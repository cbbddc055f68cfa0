"""What a transaction costs, and the highest fee that pays. Fees in wei per gas, dollars in 1e18."""

from dataclasses import dataclass

from keeper.model.chain import BlockRef
from keeper.model.fees import fee_for_deadline, next_base_fee
from keeper.model.health import WAD
from keeper.model.plan import Policy

MAX_TX_GAS = 1 << 24  # EIP-7825: a transaction with a higher gas limit is invalid


@dataclass(frozen=True, slots=True)
class FeeMarket:
    """Fees of the next block, and the maximum fee of a first attempt."""

    base_fee: int  # of the next block, exact
    tip: int
    ladder: int  # maxFeePerGas that stays includable until the deadline, before any cap

    @property
    def expected(self) -> int:
        """Fee per gas when the next block includes the transaction."""
        return self.base_fee + self.tip


def fee_market(head: BlockRef, policy: Policy) -> FeeMarket:
    """Fees for a transaction planned on top of `head`."""
    chain = policy.base_fee_denominator, policy.base_fee_elasticity
    base_fee = next_base_fee(head.base_fee, head.gas_used, head.gas_limit, *chain)
    ladder = fee_for_deadline(base_fee, policy.priority_fee, policy.deadline_blocks, *chain)
    return FeeMarket(base_fee, policy.priority_fee, ladder)


def gas_cost_wad(gas: int, fee: int, native_price_wad: int) -> int:
    """Dollars for `gas` at `fee`, rounded up."""
    return -(-gas * fee * native_price_wad // WAD)


def highest_fee(reward_wad: int, gas: int, native_price_wad: int, min_profit_wad: int, cap: int) -> int:
    """The bid: the highest fee at which reward less gas still reaches the minimum profit, at most `cap`.

    Negative when no fee does.
    """
    spare = reward_wad - min_profit_wad
    return min(spare * WAD // (gas * native_price_wad), cap)
