"""What an event is: a code with its level and meaning, and one occurrence. The codes are in `events.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """Severity of an event. `critical` needs a person now."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class EventKind:
    """What a code means, its fields beside the common ones, and what to do about it."""

    code: str
    level: Level
    meaning: str
    fields: tuple[str, ...]
    action: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Field values are JSON types; integers beyond 2**53 and bytes are given as strings."""

    kind: EventKind
    message: str
    block: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


Emit = Callable[[Event], None]
