"""The breaker."""

from keeper.execute.breaker import Breaker


def test_it_opens_after_so_many_reverts_in_a_row_and_closes_by_itself():
    breaker = Breaker(3, 50)
    assert [breaker.reverted(block) for block in (1, 2, 3)] == [False, False, True]
    assert breaker.is_open
    assert not breaker.tick(52)
    assert breaker.tick(53)
    assert not breaker.is_open


def test_a_success_ends_the_row():
    breaker = Breaker(2, 50)
    breaker.reverted(1)
    breaker.succeeded()
    assert not breaker.reverted(2)
    assert not breaker.is_open


def test_what_must_never_happen_holds_until_a_person_closes_it():
    breaker = Breaker(2, 5)
    assert breaker.trip("parity failed")
    assert not breaker.trip("again")
    assert not breaker.reverted(1)
    assert not breaker.reverted(2)
    assert not breaker.tick(10**9)
    assert breaker.reason == "parity failed"
    breaker.close()
    assert not breaker.is_open


def test_a_hold_outlasts_the_timer_of_reverts():
    breaker = Breaker(1, 5)
    breaker.reverted(1)
    assert breaker.trip("an invariant broke")
    assert not breaker.tick(100)
    assert breaker.is_open


def test_it_opens_again_only_after_a_new_row():
    breaker = Breaker(2, 5)
    breaker.reverted(1)
    breaker.reverted(1)
    breaker.tick(6)
    assert not breaker.reverted(7)
    assert breaker.reverted(8)
