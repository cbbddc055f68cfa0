"""What is on its way, as planning sees it."""

from dataclasses import replace

from keeper.execute.tx.pending import PendingIntents
from keeper.model.data_fees import DataFees
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


def test_what_is_in_flight_executes_in_the_order_of_nonces():
    third = replace(INTENT, id=3, nonce=9, account=b"\3" * 20, uses={"pool": 1})
    second = replace(INTENT, id=4, nonce=8, account=b"\4" * 20, uses={"pool": 2})
    without = replace(INTENT, id=5, nonce=6, uses={})
    found = PendingIntents.of([third, without, second, INTENT]).in_flight().ahead
    assert [(one.accounts, one.uses) for one in found] == [
        ((ACCOUNT,), {"cap": 3}),
        ((b"\4" * 20,), {"pool": 2}),
        ((b"\3" * 20,), {"pool": 1}),
    ]


def test_the_coins_for_data_on_a_rollup_are_drawn_on_as_well():
    pending = PendingIntents.of([replace(INTENT, data=b"\1" * 500)])
    pending.data_fees = DataFees(small=(0, 0), large=(1_000, 10**6), operator=(70, 70 + 10**9))
    assert pending.in_flight().native == 1_000 * 40 + pending.data_fees.most(500, 1_000)
    assert pending.data_fees.most(500, 1_000) > (500_000 + 70 + 1_000) * 5 // 4


def test_what_has_ended_draws_on_nothing():
    found = PendingIntents.of([replace(INTENT, state=state) for state in IntentState if state.final]).in_flight()
    assert (found.accounts, found.native, found.count) == (frozenset(), 0, 0)


def gas_in_flight(*intents: Intent) -> dict[int, int]:
    """Base fee -> gas in flight that a block of this base fee may include."""
    found = PendingIntents.of(intents).in_flight()
    return {base_fee: found.gas_at(base_fee) for base_fee in (10, 20, 30, 40, 41)}


def sent(number: int, *attempts: tuple[int, bool]) -> Intent:
    """An intent with attempts of these max fees, each a cancellation or not."""
    signed = tuple(replace(ATTEMPT, intent_id=number, max_fee=fee, cancels=cancels) for fee, cancels in attempts)
    return replace(INTENT, id=number, nonce=number, state=IntentState.PENDING, attempts=signed)


def test_gas_in_flight_counts_up_to_the_fee_of_the_newest_replacement():
    replaced, once = sent(1, (10, False), (20, False)), sent(2, (20, False))
    assert gas_in_flight(replaced, once) == {10: 2_000, 20: 2_000, 30: 0, 40: 0, 41: 0}


def test_gas_of_what_is_not_signed_yet_counts_up_to_its_bid():
    assert gas_in_flight(INTENT) == {10: 1_000, 20: 1_000, 30: 1_000, 40: 1_000, 41: 0}


def test_a_cancellations_fee_does_not_count_for_the_liquidation_that_it_replaces():
    assert gas_in_flight(sent(1, (20, False), (30, True))) == {10: 1_000, 20: 1_000, 30: 0, 40: 0, 41: 0}


def test_what_has_ended_uses_no_gas():
    assert PendingIntents.of([replace(INTENT, state=IntentState.MINED)]).in_flight().gas == {}


def test_nonces_stay_used_when_what_used_them_is_forgotten():
    ended = [replace(INTENT, id=1, nonce=1, state=IntentState.SUPERSEDED), replace(INTENT, id=2, nonce=2)]
    pending = PendingIntents.of([*ended, replace(INTENT, id=3, nonce=3, state=IntentState.DROPPED)])
    assert pending.consumed == 1
    pending.forget(100, settled_before=50)
    assert pending.consumed == 1
    pending.consume(0)
    assert pending.consumed == 1


def test_what_was_set_aside_is_not_followed_and_keeps_its_nonce():
    pending = PendingIntents.of([INTENT, replace(INTENT, id=2, nonce=8)])
    pending.set_aside(1)
    assert [intent.id for intent in pending.followed()] == [2]
    assert pending.nonces() == {7, 8}
    assert pending.any_altered
