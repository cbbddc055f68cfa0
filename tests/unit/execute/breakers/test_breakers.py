"""The breakers: what opens each, and what closes it."""

import pytest

from keeper.execute.breakers.breakers import DAY_S, HOUR_S, BreakerLimits, Breakers, BreakerState, TxResult
from keeper.execute.breakers.missed import Missed
from keeper.model.breaker import BreakerName
from keeper.model.health import WAD

LIMITS = BreakerLimits(max_reverts=3, reset_blocks=50, max_loss_wad=100 * WAD, max_gas_wad=10 * WAD)


def reverted(intent_id: int, time_s: int = 0) -> TxResult:
    return TxResult(intent_id, time_s, mined=False, reverted=True, loss_wad=0, gas_wad=0)


def mined(intent_id: int, time_s: int = 0, loss: int = 0, gas: int = 0) -> TxResult:
    return TxResult(intent_id, time_s, mined=True, reverted=False, loss_wad=loss * WAD, gas_wad=gas * WAD)


def names(holds: list[BreakerState]) -> list[str]:
    return [str(hold.name) for hold in holds]


def test_reverts_in_a_row_open_it_and_blocks_close_it():
    breakers = Breakers(LIMITS)
    assert [names(breakers.ended(reverted(i, i), i)) for i in (1, 2, 3)] == [[], [], ["reverts"]]
    assert breakers.reason == "3 reverts in a row"
    assert breakers.tick(52, 52) == []
    assert names(breakers.tick(53, 53)) == ["reverts"]
    assert breakers.reason == ""


def test_a_success_ends_the_row():
    breakers = Breakers(LIMITS)
    for end in (reverted(1, 1), reverted(2, 2), mined(3, 3), reverted(4, 4), reverted(5, 5)):
        assert breakers.ended(end, 1) == []


def test_a_success_in_the_same_block_ends_the_row_whatever_failed_beside_it():
    breakers = Breakers(LIMITS)
    for end in (reverted(1, 1), mined(2, 2), reverted(3, 2), reverted(4, 2), reverted(5, 2), reverted(6, 3)):
        assert breakers.ended(end, 1) == []
    assert names(breakers.ended(reverted(7, 4), 4)) == []
    assert names(breakers.ended(reverted(8, 4), 4)) == ["reverts"]


def test_lost_races_neither_extend_nor_end_the_row_and_their_gas_counts():
    breakers = Breakers(LIMITS)
    lost = [TxResult(i, i, mined=False, reverted=False, loss_wad=4 * WAD, gas_wad=4 * WAD) for i in range(10, 13)]
    for end in (reverted(1, 1), reverted(2, 2), *lost[:2]):
        assert breakers.ended(end, 1) == []
    assert names(breakers.ended(lost[2], 12)) == ["gas"]
    assert names(breakers.ended(reverted(20, 20), 20)) == ["reverts"]


def test_it_opens_again_only_after_a_new_row():
    breakers = Breakers(LIMITS)
    for i in (1, 2, 3):
        breakers.ended(reverted(i, i), i)
    breakers.tick(60, 60)
    assert [names(breakers.ended(reverted(i, i), i)) for i in (61, 62, 63)] == [[], [], ["reverts"]]


def test_an_end_that_a_reorg_took_back_and_gave_again_counts_once():
    breakers = Breakers(LIMITS)
    for _ in range(5):
        assert breakers.ended(reverted(1, 1), 1) == []


def test_losses_of_a_day_open_it_gains_do_not_make_up_for_them_and_only_a_person_closes_it():
    breakers = Breakers(LIMITS)
    assert breakers.ended(mined(1, 1, loss=60), 1) == []
    assert breakers.ended(mined(2, 2), 2) == []
    assert names(breakers.ended(mined(3, 3, loss=50), 3)) == ["loss"]
    assert breakers.tick(10**6, 10 * DAY_S) == []
    assert names(breakers.adopt([BreakerState(BreakerName.LOSS, "", 3)])) == ["loss"]
    assert breakers.ended(mined(4, 4, loss=60), 4) == []


def test_losses_of_yesterday_do_not_count():
    breakers = Breakers(LIMITS)
    breakers.ended(mined(1, 1, loss=60), 1)
    assert breakers.ended(mined(2, DAY_S + 2, loss=60), 2) == []


def test_gas_of_an_hour_opens_it_and_a_cheaper_hour_closes_it():
    breakers = Breakers(LIMITS)
    breakers.ended(mined(1, 100, gas=6), 1)
    assert names(breakers.ended(mined(2, 200, gas=6), 2)) == ["gas"]
    assert breakers.tick(3, HOUR_S) == []
    assert names(breakers.tick(4, HOUR_S + 101)) == ["gas"]
    assert breakers.reason == ""


@pytest.mark.parametrize("name", [BreakerName.INVARIANT, BreakerName.PARITY, BreakerName.NONCE, BreakerName.KILL])
def test_what_must_never_happen_waits_for_a_person(name):
    breakers = Breakers(LIMITS)
    assert names(breakers.trip(name, "why", 1, 1)) == [name]
    assert breakers.trip(name, "again", 2, 2) == []
    assert breakers.tick(10**9, 10**9) == []
    assert breakers.reason == "why"


def test_each_has_its_own_reason_and_all_must_close():
    breakers = Breakers(LIMITS)
    breakers.trip(BreakerName.JOURNAL, "no disk", 1, 1)
    breakers.trip(BreakerName.PARITY, "a difference", 1, 1)
    assert breakers.reason == "a difference; no disk"
    assert names(breakers.tick(51, 51)) == ["journal"]
    assert breakers.reason == "a difference"


def test_a_restart_finds_everything_as_it_was():
    before = Breakers(LIMITS)
    ends = [reverted(1, 1), reverted(2, 2), mined(3, 3, loss=90)]
    for end in ends[:2]:
        before.ended(end, 1)
    holds = before.trip(BreakerName.PARITY, "a difference", 5, 5)
    after = Breakers(LIMITS, holds, ends[:2])
    assert after.reason == "a difference"
    assert names(after.ended(reverted(4, 4), 4)) == ["reverts"]
    after = Breakers(LIMITS, [], [ends[2]])
    assert names(after.ended(mined(5, 5, loss=11), 5)) == ["loss"]


def test_missed_opportunities_are_told_at_the_limit_and_at_its_multiples():
    missed = Missed(3)
    assert [missed.block(True, False) for _ in range(7)] == [0, 0, 3, 0, 0, 6, 0]
    assert missed.block(True, True) == 0
    assert [missed.block(True, False) for _ in range(3)] == [0, 0, 3]
    missed.block(False, False)
    assert missed.block(True, False) == 0
