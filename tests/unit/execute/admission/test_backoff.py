"""Back-off of accounts whose transactions revert on chain."""

from keeper.execute.admission.backoff import MOST_BLOCKS, Backoff

A, B = b"\xaa" * 20, b"\xbb" * 20


def test_each_further_revert_waits_twice_as_long_up_to_the_most():
    backoff = Backoff(3)
    waits = [backoff.failed(A, 100, lost=False) - 100 for _ in range(12)]
    assert waits == [3, 6, 12, 24, 48, 96, 192, 384, 640, 640, 640, 640]
    assert backoff.failed(B, 100, lost=False) == 103


def test_a_success_resets_it():
    backoff = Backoff(3)
    for _ in range(5):
        backoff.failed(A, 1, lost=False)
    backoff.succeeded(A)
    assert backoff.failed(A, 10, lost=False) == 13


def test_lost_races_count_from_the_third_in_a_row_of_one_account():
    backoff = Backoff(3)
    assert [backoff.failed(account, 1, lost=True) for account in (A, B, A, B)] == [0, 0, 0, 0]
    assert [backoff.failed(A, 10, lost=True), backoff.failed(A, 20, lost=True)] == [13, 26]
    backoff.succeeded(B)
    assert backoff.failed(B, 10, lost=True) == 0


def test_what_is_long_past_is_forgotten():
    backoff = Backoff(3)
    for _ in range(5):
        backoff.failed(A, 1, lost=False)
    later = 2 + 2 * MOST_BLOCKS
    assert backoff.failed(A, later, lost=False) == later + 3
