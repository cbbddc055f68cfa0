"""What is on its way, as planning sees it."""

from dataclasses import replace

from keeper.execute.tx.pending import PendingIntents
from keeper.model.intent import Attempt, Intent, IntentState

ACCOUNT, TOKEN = b"\1" * 20, b"\x0c" * 20
INTENT = Intent(
    id=1, account=ACCOUNT, kind="liquidate", subject="ETH-PERP", size=1, state=IntentState.RESERVED, nonce=7,
    to=b"\xee" * 20, data=b"", gas_limit=1_000, bid=40, value_wad=0, planned_block=10, deadline_block=16,
    uses={"cap": 3}, spends={TOKEN: 5},
)  # fmt: skip
ATTEMPT = Attempt(1, b"\1" * 32, b"raw", 30, 1, cancels=False, signed_block=10)


def test_open_intents_draw_on_accounts_limits_and_funds():
    signed = replace(INTENT, id=2, nonce=8, state=IntentState.PENDING, attempts=(ATTEMPT,))
    found = PendingIntents.of([INTENT, signed]).in_flight()
    assert found.accounts == {ACCOUNT}
    assert (found.uses, found.spends, found.count) == ({"cap": 6}, {TOKEN: 10}, 2)
    assert found.native == 1_000 * 40 + 1_000 * 30, "its bid before it is signed, its fee afterwards"


def test_what_has_ended_draws_on_nothing():
    found = PendingIntents.of([replace(INTENT, state=state) for state in IntentState if state.final]).in_flight()
    assert (found.accounts, found.native, found.count) == (frozenset(), 0, 0)
