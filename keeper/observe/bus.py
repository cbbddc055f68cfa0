"""Passes each event to all listeners. An error in a listener never reaches the code that emits."""

import sys
from collections.abc import Callable
from contextlib import suppress

from keeper.model.events import Event

Listener = Callable[[Event], None]


class Bus:
    """An `Emit` with many listeners. A failing listener is reported on standard error and does not stop the others."""

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
                    sys.stderr.write(f"keeper: a listener failed on event {event.kind.code}: {type(error).__name__}\n")
