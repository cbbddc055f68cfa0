"""Hands each event to everyone who listens. Whoever emits never notices what becomes of it."""

import sys
from collections.abc import Callable
from contextlib import suppress

from keeper.model.events import Event

Listener = Callable[[Event], None]


class Bus:
    """An `Emit` that fans out. A listener that fails is told on standard error and does not stop the others."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def listen(self, listener: Listener) -> None:
        """Add a listener; it must return at once."""
        self._listeners.append(listener)

    def __call__(self, event: Event) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - a broken observer must never stop a liquidation
                with suppress(OSError, ValueError):
                    sys.stderr.write(f"keeper: an observer failed on {event.kind.code}: {type(error).__name__}\n")
