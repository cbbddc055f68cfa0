"""What a liquidation is worth: net dollars decide whether it is sent, its score in which order."""

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from keeper.model.health import WAD
from keeper.model.plan import Funds, Opportunity, Policy, Rejection, Shortage
from keeper.plan.data_costs import NO_DATA_COST, DataCost
from keeper.plan.gas import MAX_TX_GAS, FeeMarket, gas_cost_wad, highest_fee

# How far above the first attempt's fee replacements may climb. Less spare room would give up too early in a squeeze;
# more would raise the least reward, which the bid decides, until a small move of prices makes the call revert.
CLIMB = 4


@dataclass(frozen=True, slots=True)
class Offer:
    """An opportunity that pays at the expected fee. Dollars in 1e18, fees in wei."""

    opportunity: Opportunity
    max_fee: int  # of the first attempt
    bid: int
    value_wad: int  # reward less gas at the expected fee and the data fee
    score_wad: int  # value and what bad debt prevented adds
    data: DataCost = NO_DATA_COST


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an opportunity is not taken. The message does not repeat the reason's code, which stands beside it."""

    reason: Rejection
    message: str
    shortage: Shortage | None = None


@dataclass(frozen=True, slots=True)
class Appraiser:
    """Values opportunities at one block's fees, under one policy, with the native coin that is left for gas."""

    policy: Policy
    fees: FeeMarket
    funds: Funds

    def appraise(self, opportunity: Opportunity, data: DataCost = NO_DATA_COST) -> Offer | Refusal:
        """An offer whose profit reaches the minimum at every fee up to its bid, or why there is none."""
        policy, expected = self.policy, self.fees.expected
        if opportunity.gas_limit > MAX_TX_GAS:
            return Refusal(
                Rejection.BLOCK_GAS,
                f"needs a gas limit of {opportunity.gas_limit:,}; a transaction may have {MAX_TX_GAS:,} (EIP-7825)",
            )
        cost_wad = self.cost_wad(opportunity, data)
        value_wad = opportunity.reward_wad - cost_wad
        if value_wad < policy.min_profit_wad or opportunity.reward_wad < 0:  # `floor_wad` is never negative
            return Refusal(Rejection.UNPROFITABLE, self._shortfall(opportunity.reward_wad, cost_wad))
        if expected > policy.max_fee:
            message = (
                f"the next block costs {gwei(expected)} with tip; KEEPER_MAX_FEE_GWEI allows {gwei(policy.max_fee)}"
            )
            return Refusal(Rejection.FEE_CAP, message)
        affordable = (self.funds.native - data.most) // opportunity.gas_limit
        if expected > affordable:
            needed = opportunity.gas_limit * expected + data.most
            return native_short(needed, self.funds.native)
        bid = self._bid(opportunity, data)
        max_fee = min(self.fees.ladder, bid, affordable)
        return Offer(opportunity, max_fee, bid, value_wad, self._score_wad(opportunity, value_wad), data)

    def _bid(self, opportunity: Opportunity, data: DataCost) -> int:
        """The highest fee that still pays when the reward slips by `slip_percent`, at most CLIMB times the ladder."""
        cap = min(self.policy.max_fee, CLIMB * self.fees.ladder)
        slipped_wad = opportunity.reward_wad * (100 - opportunity.slip_percent) // 100
        least_wad = self.policy.min_profit_wad + self._data_wad(data)
        fees = [
            highest_fee(reward_wad, opportunity.gas, self.funds.native_price_wad, least_wad, cap)
            for reward_wad in (slipped_wad, opportunity.reward_wad)
        ]
        return max(fees[0], min(self.fees.expected, fees[1]))

    def cost_wad(self, opportunity: Opportunity, data: DataCost = NO_DATA_COST) -> int:
        """Dollars of gas and data when the next block includes it."""
        gas_wad = gas_cost_wad(opportunity.gas, self.fees.expected, self.funds.native_price_wad)
        return gas_wad + self._data_wad(data)

    def _data_wad(self, data: DataCost) -> int:
        return gas_cost_wad(1, data.expected, self.funds.native_price_wad)

    def floor_wad(self, offer: Offer) -> int:
        """Reward below which the call must revert: what covers its costs, and the quoted reward less the slip that the
        policy allows. Never negative."""
        kept_wad = floor(offer.opportunity.reward_wad * (1 - self.policy.max_slip))
        return max(self.covering_wad(offer), kept_wad)

    def covering_wad(self, offer: Offer) -> int:
        """Minimum profit, data fee and gas at the bid, so that no replacement up to it is mined at a loss. Never
        negative."""
        gas_wad = gas_cost_wad(offer.opportunity.gas, offer.bid, self.funds.native_price_wad)
        return max(self.policy.min_profit_wad + gas_wad + self._data_wad(offer.data), 0)

    def gain_wad(self, offer: Offer) -> int:
        """Score over that of doing nothing, which a negative minimum profit puts below zero. Never negative."""
        return max(offer.score_wad - min(self.policy.min_profit_wad, 0), 0)

    def _score_wad(self, opportunity: Opportunity, value_wad: int) -> int:
        return value_wad + int(Fraction(self.policy.bad_debt_weight) * opportunity.bad_debt_prevented_wad)

    def _shortfall(self, reward_wad: int, cost_wad: int) -> str:
        least = self.policy.min_profit_wad
        if not least:
            return f"reward {usd(reward_wad)} is less than gas {usd(cost_wad)}"
        return f"reward {usd(reward_wad)} less gas {usd(cost_wad)} is below {usd(least)} (KEEPER_MIN_PROFIT_USD)"


def usd(wad: int) -> str:
    """Dollars as text."""
    return f"{'-' if wad < 0 else ''}${abs(wad) / WAD:,.2f}"


def gwei(wei: int) -> str:
    """A fee as text."""
    return f"{wei / 10**9:,.2f} gwei"


def native_short(needed: int, available: int) -> Refusal:
    """The refusal when the signer cannot pay for the gas. Wei."""
    message = f"gas needs {needed / WAD:.6f} of the native coin; the signer has {available / WAD:.6f} left"
    return Refusal(Rejection.INSUFFICIENT_FUNDS, message, Shortage(b"", available, needed))
