"""What several replies to one transaction come to. Pure: a reply is evidence, not truth."""

from collections.abc import Sequence

from keeper.model.intent import SendResult, SendStatus

RELAY_REFUSED = "relay_refused"  # a relay's own reasons: they say nothing about our nonce or our funds
NOT_SENT = "not_sent"  # the bytes certainly did not leave for this one: no evidence at all


def merged(replies: Sequence[SendResult]) -> SendResult:
    """Accepted by any is accepted; refused when all that could be asked refused; whatever is unclear is unknown."""
    heard = [reply for reply in replies if reply.reason != NOT_SENT]
    for status in (SendStatus.ACCEPTED, SendStatus.UNKNOWN):
        if found := next((reply for reply in heard if reply.status is status), None):
            return found
    found = next(iter(heard or replies), None)
    return found or SendResult(SendStatus.UNKNOWN, NOT_SENT, "there is nobody to send to")
