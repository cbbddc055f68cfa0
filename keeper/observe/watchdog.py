"""The watchdog: a thread that reports when the event loop is blocked, and in which function."""

import asyncio
import sys
import threading
import traceback
from pathlib import Path

from keeper.clock import Clock
from keeper.model.events import KEEPER_STUCK, Emit, Event

_PACKAGE = str(Path(__file__).parents[1])
_LOOKS = 4  # in the time that counts as stuck


class Watchdog:
    """Emits to `urgent` at once, from its own thread, and to `later` on the loop, once that runs again."""

    def __init__(self, limit_s: float, clock: Clock, urgent: Emit, later: Emit) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._urgent = urgent
        self._later = later
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._seen = 0.0
        self._beat_handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch the running loop."""
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._beat()
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._beat_handle:
            self._beat_handle.cancel()

    def _beat(self) -> None:
        self._seen = self._clock.monotonic()
        self._beat_handle = self._loop.call_later(self._limit_s / _LOOKS, self._beat)

    def _watch(self) -> None:
        reported = 0.0
        while not self._stop.wait(self._limit_s / _LOOKS):
            seen = self._seen
            age = self._clock.monotonic() - seen
            if age <= self._limit_s or reported == seen:
                continue
            reported = seen
            where = _where(self._watched)
            fields = {"seconds": round(age, 1), "where": where}
            event = Event(KEEPER_STUCK, f"event loop blocked for {age:.1f} s in {where}", None, fields)
            self._urgent(event)
            self._loop.call_soon_threadsafe(self._later, event)


def _where(thread: int) -> str:
    """File, line and function of the innermost frame in this package; never values."""
    frame = sys._current_frames().get(thread)
    frames = traceback.extract_stack(frame) if frame else []
    ours = [found for found in frames if found.filename.startswith(_PACKAGE)] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}" if ours else "unknown code"
