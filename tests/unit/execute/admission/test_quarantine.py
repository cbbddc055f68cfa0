"""The quarantine of assets."""

import pytest

from keeper.execute.admission.quarantine import FIRST_BLOCKS, Quarantine, is_assets
from keeper.protocols.base import Revert, RevertAction

A, B = b"\xaa" * 20, b"\xbb" * 20


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
    quarantine.failed("seize X", A, "Paused()", 5)
    assert quarantine.failed("seize X", A, "Paused()", 20) == 20 + 2 * FIRST_BLOCKS
    quarantine.succeeded("seize X")
    assert quarantine.closed(21) == {}
    assert quarantine.failed("seize X", A, "Paused()", 60) == 0


def test_what_was_seen_in_a_mined_transaction_needs_no_second_case():
    quarantine = Quarantine()
    assert quarantine.failed("seize X", A, "a fee", 7, sure=True) == 7 + FIRST_BLOCKS


@pytest.mark.parametrize(
    ("name", "action", "blamed"),
    [
        ("0x9e87fac8", RevertAction.RETRY, True),
        ("no reason", RevertAction.RETRY, True),
        ("EnforcedPause", RevertAction.HOLD, True),
        ("BlockCapReached", RevertAction.RETRY, False),
        ("NotLiquidatable", RevertAction.SKIP, False),
    ],
)
def test_competition_and_the_protocols_own_caps_are_not_the_assets_fault(name, action, blamed):
    assert is_assets(Revert(name, (), action)) is blamed
