"""The points of the send path at which a crash is interesting: tests end a keeper there by SIGKILL."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class CrashPoint(StrEnum):
    """Named after what was just done, and for which kind of attempt."""

    RESERVED = "journal.reserved"
    SIGNED = "signer.signed"
    COMMITTED = "journal.committed"
    SENT = "sender.sent"
    NOTED = "journal.noted"
    REPLACEMENT_SIGNED = "replacement.signer.signed"
    REPLACEMENT_COMMITTED = "replacement.journal.committed"
    REPLACEMENT_SENT = "replacement.sender.sent"
    REPLACEMENT_NOTED = "replacement.journal.noted"
    CANCEL_SIGNED = "cancel.signer.signed"
    CANCEL_COMMITTED = "cancel.journal.committed"
    CANCEL_SENT = "cancel.sender.sent"
    CANCEL_NOTED = "cancel.journal.noted"
    RESENT = "rebroadcast.sender.sent"
    SETTLED = "journal.settled"


Hook = Callable[[CrashPoint], None]


def no_hook(_: CrashPoint) -> None:
    """Crash points are for tests."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The crash points of one kind of attempt, in order."""

    signed: CrashPoint
    committed: CrashPoint
    sent: CrashPoint
    noted: CrashPoint


_C = CrashPoint
FIRST = Steps(_C.SIGNED, _C.COMMITTED, _C.SENT, _C.NOTED)
REPLACEMENT = Steps(_C.REPLACEMENT_SIGNED, _C.REPLACEMENT_COMMITTED, _C.REPLACEMENT_SENT, _C.REPLACEMENT_NOTED)
CANCEL = Steps(_C.CANCEL_SIGNED, _C.CANCEL_COMMITTED, _C.CANCEL_SENT, _C.CANCEL_NOTED)
