"""Sums over the journal."""

from dataclasses import replace

from keeper.model.intent import Attempt, Intent, IntentState, Outcome
from keeper.observe.pnl import NATIVE, summarise

TOKEN = b"\x0c" * 20
OUTCOME = Outcome(b"\1" * 32, 12, b"\2" * 32, 1, 100, 7, {TOKEN: 2**140, NATIVE: -700}, value_wad=50, bad_debt_wad=3)
INTENT = Intent(1, b"\1" * 20, "liquidate", "X", 1, IntentState.MINED, 0, b"", b"", 1, 1, 1, 1, 2)
SENT = (Attempt(1, b"\1" * 32, b"", 1, 1, False, 1),)


def test_nothing_sums_to_nothing():
    assert summarise([]).profit == {}


def test_gas_of_what_failed_counts_against_the_profit():
    reverted = replace(
        OUTCOME, profit={NATIVE: -300}, gas_used=300, effective_gas_price=1, value_wad=-9, bad_debt_wad=0
    )
    found = summarise(
        [
            replace(INTENT, outcome=OUTCOME, attempts=SENT),
            replace(INTENT, state=IntentState.REVERTED, outcome=reverted, attempts=SENT),
            replace(INTENT, state=IntentState.DROPPED),
        ]
    )
    assert found.profit == {TOKEN: 2**140, NATIVE: -1000}
    assert (found.gas_wei, found.wasted_gas_wei) == (1000, 300)
    assert (found.value_wad, found.bad_debt_wad, found.sent) == (41, 3, 2)
    assert found.states == {"mined": 1, "reverted": 1, "dropped": 1}
