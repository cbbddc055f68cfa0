"""Budgets that plans share: the number of transactions, gas, the native coin, tokens, and limits of the protocol."""

from collections.abc import Iterable, Mapping

from keeper.model.chain import BlockRef
from keeper.model.plan import Funds, InFlight, Opportunity, Policy, Rejection, Shortage, token_key, token_of
from keeper.plan.value import Offer, Refusal, native_short

# Our own. Shared limits (`Opportunity.uses`) and tokens (`token_key`) stand beside them under their own keys.
COUNT, GAS, NATIVE = "own:count", "own:gas", "own:native"
OWN = frozenset({COUNT, GAS, NATIVE})

Symbols = Mapping[bytes, tuple[str, int]]


class Budgets:
    """What is left of each budget. Limits of the protocol become known with the opportunities that name them."""

    def __init__(self, policy: Policy, funds: Funds, in_flight: InFlight, block: BlockRef, base_fee: int) -> None:
        """`base_fee`: of the block after `block`, wei. Gas in flight that this next block may include is subtracted."""
        self._policy = policy
        self._in_flight = in_flight
        self._whole: dict[str, int] = {}  # shared limits before anybody drew on them
        self.left: dict[str, int] = {
            COUNT: max(policy.max_in_flight - in_flight.count, 0),
            GAS: max(int(policy.gas_share * block.gas_limit) - in_flight.gas_at(base_fee), 0),
            NATIVE: funds.native,
            **{token_key(token): amount for token, amount in funds.tokens.items()},
        }

    def learn(self, opportunities: Iterable[Opportunity]) -> None:
        """Add shared limits that are not known yet, less what transactions in flight use."""
        for opportunity in opportunities:
            for key, (_, limit) in opportunity.uses.items():
                if key not in self._whole:
                    self._whole[key] = limit
                    self.left[key] = max(limit - self._in_flight.uses.get(key, 0), 0)

    def for_adapters(self) -> dict[str, int]:
        """What is left of shared limits and tokens."""
        return {key: left for key, left in self.left.items() if key not in OWN}

    def short(self, draws: Mapping[str, int]) -> str:
        """The key of the first budget that is too small; empty when all suffice."""
        return next((key for key, amount in draws.items() if amount > self.left.get(key, 0)), "")

    def take(self, draws: Mapping[str, int]) -> None:
        """Subtract from the budgets, which must suffice."""
        for key, amount in draws.items():
            self.left[key] = self.left.get(key, 0) - amount

    def give_back(self, draws: Mapping[str, int]) -> None:
        """Add again what `take` subtracted."""
        self.take({key: -amount for key, amount in draws.items()})

    def shortage(self, draws: Mapping[str, int], symbols: Symbols) -> Refusal:
        """The refusal that names the budget which is too small."""
        key = self.short(draws)
        needed, left = draws.get(key, 0), self.left.get(key, 0)
        if key == COUNT:
            message = f"{self._policy.max_in_flight} transactions are planned or in flight (KEEPER_MAX_IN_FLIGHT)"
            return Refusal(Rejection.TOO_MANY_IN_FLIGHT, message)
        if key == GAS:
            return Refusal(
                Rejection.BLOCK_GAS,
                f"needs {needed:,} gas; {left:,} gas of the keeper's share of the block is left (KEEPER_GAS_SHARE)",
            )
        if key == NATIVE:
            return native_short(needed, left)
        if key in self._whole:
            whole = max(self._whole[key], 1)
            message = f"needs {needed / whole:.1%} of the limit {key}; {left / whole:.1%} is left"
            return Refusal(Rejection.SHARED_LIMIT, message)
        message = f"needs {_amount(key, needed, symbols)}; {_amount(key, left, symbols)} is left"
        return Refusal(Rejection.INSUFFICIENT_FUNDS, message, Shortage(token_of(key), left, needed))


def opportunity_draws(opportunity: Opportunity) -> dict[str, int]:
    """What an opportunity uses of shared limits and tokens."""
    spends = {token_key(token): amount for token, amount in opportunity.spends.items() if amount > 0}
    return {**{key: amount for key, (amount, _) in opportunity.uses.items()}, **spends}


def offer_draws(offer: Offer) -> dict[str, int]:
    """What sending an offer uses of every budget. Gas counts at its limit and the native coin at the maximum fee."""
    opportunity = offer.opportunity
    native = opportunity.gas_limit * offer.max_fee + offer.data.most
    own = {COUNT: 1, GAS: opportunity.gas_limit, NATIVE: native}
    return {**own, **opportunity_draws(opportunity)}


def _amount(key: str, amount: int, symbols: Symbols) -> str:
    """An amount of a budget as text, in whole tokens where the token is known."""
    for token, (symbol, decimals) in symbols.items():
        if token_key(token) == key:
            return f"{amount / 10**decimals:,.2f} {symbol}"
    return f"{amount} of {key}"
