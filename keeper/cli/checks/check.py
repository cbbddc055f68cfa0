"""One check of `keeper doctor` and its result."""

from dataclasses import dataclass
from enum import StrEnum


class CheckLevel(StrEnum):
    """`fail` ends `keeper doctor` with exit code 4."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's report. `action` is empty when there is nothing to do."""

    name: str
    verdict: CheckLevel
    message: str
    action: str = ""


def ok(name: str, message: str) -> Check:
    return Check(name, CheckLevel.OK, message)


def warn(name: str, message: str, action: str) -> Check:
    return Check(name, CheckLevel.WARN, message, action)


def fail(name: str, message: str, action: str = "") -> Check:
    return Check(name, CheckLevel.FAIL, message, action)
