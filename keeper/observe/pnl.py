"""Profit and loss from the journal's intents, to the wei."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from keeper.model.intent import NATIVE, Intent, IntentState

__all__ = ["NATIVE", "Pnl", "summarise"]


@dataclass(frozen=True, slots=True)
class Pnl:
    """What all intents together brought and cost. The native coin is 20 zero bytes; it carries the gas."""

    profit: Mapping[bytes, int] = field(default_factory=dict)  # token -> units, signed
    value_wad: int = 0  # dollars (1e18) at the prices when each was mined, gas taken off
    bad_debt_wad: int = 0  # dollars (1e18)
    gas_wei: int = 0  # paid, data fees included, also for reverted and cancelled ones
    wasted_gas_wei: int = 0  # the part of `gas_wei` paid for transactions without a liquidation
    sent: int = 0
    states: Mapping[str, int] = field(default_factory=dict)


def summarise(intents: Iterable[Intent]) -> Pnl:
    """The sums over intents."""
    profit: Counter[bytes] = Counter()
    states: Counter[str] = Counter()
    value = bad_debt = gas = wasted = sent = 0
    for intent in intents:
        states[str(intent.state)] += 1
        sent += bool(intent.attempts)
        outcome = intent.outcome
        if outcome is None:
            continue
        profit.update(outcome.profit)
        value += outcome.value_wad
        bad_debt += outcome.bad_debt_wad
        gas += outcome.cost
        wasted += 0 if intent.state is IntentState.MINED else outcome.cost
    return Pnl(dict(profit), value, bad_debt, gas, wasted, sent, dict(states))
