"""Replies of several nodes to one transaction: what they come to."""

import pytest

from keeper.chain.replies import NOT_SENT, merged
from keeper.model.intent import SendResult, SendStatus

YES = SendResult(SendStatus.ACCEPTED)
NO = SendResult(SendStatus.REFUSED, "nonce_too_low")
DUNNO = SendResult(SendStatus.UNKNOWN, "no_answer")
DOWN = SendResult(SendStatus.UNKNOWN, NOT_SENT)


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ([NO, DUNNO, YES], YES),
        ([NO, NO], NO),
        ([NO, DUNNO], DUNNO),
        ([DOWN, NO], NO),
        ([DOWN, DUNNO, NO], DUNNO),
        ([DOWN, DOWN], DOWN),
    ],
)
def test_any_yes_is_a_yes_all_noes_are_a_no_and_the_rest_is_unknown(replies, expected):
    assert merged(replies) == expected
    assert merged(replies[::-1]).status is expected.status


def test_nobody_to_ask_is_unknown():
    assert merged([]).status is SendStatus.UNKNOWN
