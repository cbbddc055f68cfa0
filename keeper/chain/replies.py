"""Merges the replies of several nodes or relays to one transaction. Pure."""

from collections.abc import Sequence

from keeper.model.intent import SendResult, SendStatus

RELAY_REFUSED = "relay_refused"  # for reasons of its own: it says nothing about nonce and funds
NOT_SENT = "not_sent"  # the bytes were not sent to this one


def merged(replies: Sequence[SendResult]) -> SendResult:
    """Accepted when one accepted; refused when all that got the bytes refused; else unknown."""
    heard = [reply for reply in replies if reply.reason != NOT_SENT]
    for status in (SendStatus.ACCEPTED, SendStatus.UNKNOWN):
        if found := next((reply for reply in heard if reply.status is status), None):
            return found
    found = next(iter(heard or replies), None)
    return found or SendResult(SendStatus.UNKNOWN, NOT_SENT, "there is no node and no relay to send to")
