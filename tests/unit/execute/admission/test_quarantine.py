"""The quarantine of assets."""

import pytest

from keeper.execute.admission.quarantine import FIRST_BLOCKS, MOST_BLOCKS, Quarantine, is_assets
from keeper.protocols.base import Revert, RevertAction

A, B, C = b"\xaa" * 20, b"\xbb" * 20, b"\xcc" * 20


def test_one_failure_is_the_accounts_own():
    quarantine = Quarantine()
    assert quarantine.failed("seize X", A, "Paused()", 1) == 0
    assert quarantine.failed("seize X", B, "Paused()", 1) == 0
    assert quarantine.closed(1) == {}


def test_failures_in_another_block_are_the_assets_and_others_stay_open():
    quarantine = Quarantine()
    quarantine.failed("seize X", A, "Paused()", 1)
    assert quarantine.failed("seize X", B, "Paused()", 2) == 2 + FIRST_BLOCKS
    assert quarantine.closed(2) == {"seize X": "Paused()"}
    assert quarantine.closed(2 + FIRST_BLOCKS) == {}


def test_each_further_quarantine_is_twice_as_long_until_something_succeeds():
    quarantine = Quarantine()
    quarantine.failed("seize X", A, "Paused()", 1)
    quarantine.failed("seize X", B, "Paused()", 5)
    assert quarantine.failed("seize X", A, "Paused()", 20) == 0
    assert quarantine.failed("seize X", B, "Paused()", 21) == 21 + 2 * FIRST_BLOCKS
    quarantine.simulated("seize X")
    assert quarantine.closed(22) == {}
    assert quarantine.failed("seize X", A, "Paused()", 60) == 0


def test_one_account_that_fails_for_ever_quarantines_nothing():
    quarantine = Quarantine()
    assert not any(quarantine.failed("seize X", A, "Paused()", block) for block in range(1, 1000))
    assert quarantine.closed(1000) == {}


def test_after_a_quarantine_one_account_cannot_renew_it():
    quarantine = Quarantine()
    quarantine.failed("seize X", A, "Paused()", 1)
    until = quarantine.failed("seize X", B, "Paused()", 2)
    assert not any(quarantine.failed("seize X", A, "Paused()", block) for block in range(until, until + 500))


def test_failures_that_are_long_past_do_not_count():
    quarantine = Quarantine()
    quarantine.failed("seize X", A, "Paused()", 1)
    assert quarantine.failed("seize X", B, "Paused()", 1 + MOST_BLOCKS) == 0


def test_what_failed_on_chain_is_not_cleared_by_a_simulation():
    quarantine = Quarantine()
    quarantine.failed("seize X", A, "reverted on chain", 1, on_chain=True)
    quarantine.simulated("seize X")
    until = quarantine.failed("seize X", B, "reverted on chain", 2, on_chain=True)
    assert until == 2 + FIRST_BLOCKS
    quarantine.simulated("seize X")
    assert quarantine.closed(3) == {"seize X": "reverted on chain"}
    quarantine.succeeded("seize X")
    assert quarantine.closed(3) == {}


def test_after_a_quarantine_one_account_at_a_time_is_tried_until_one_succeeds():
    quarantine = Quarantine()
    assert not quarantine.probes("seize X")
    quarantine.failed("seize X", A, "Paused()", 1)
    until = quarantine.failed("seize X", B, "Paused()", 2)
    assert quarantine.probes("seize X")
    quarantine.failed("seize X", A, "Paused()", until)
    assert [quarantine.suspicion("seize X", account) for account in (A, B, C)] == [2, 1, 0]
    quarantine.simulated("seize X")
    assert not quarantine.probes("seize X")
    assert quarantine.suspicion("seize X", A) == 0


def test_after_a_quarantine_the_failure_of_one_more_account_doubles_it():
    quarantine = Quarantine()
    quarantine.failed("seize X", A, "Paused()", 1)
    until = quarantine.failed("seize X", B, "Paused()", 2)
    assert quarantine.failed("seize X", C, "Paused()", until) == until + 2 * FIRST_BLOCKS


def test_what_was_seen_in_a_mined_transaction_needs_no_second_case():
    quarantine = Quarantine()
    assert quarantine.failed("seize X", A, "a fee", 7, sure=True) == 7 + FIRST_BLOCKS


@pytest.mark.parametrize(
    ("name", "action", "blamed"),
    [
        ("0x9e87fac8", RevertAction.RETRY, True),
        ("no reason", RevertAction.RETRY, True),
        ("SafeERC20FailedOperation", RevertAction.RETRY, True),  # as the executor says it
        ("EnforcedPause", RevertAction.HOLD, True),
        ("BlockCapReached", RevertAction.RETRY, False),
        ("NotLiquidatable", RevertAction.SKIP, False),
    ],
)
def test_competition_and_the_protocols_own_caps_are_not_the_assets_fault(name, action, blamed):
    revert = Revert(name, (), action)
    assert is_assets(revert) is blamed
    assert revert.is_lost_race is not blamed
