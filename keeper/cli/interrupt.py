"""What SIGINT, SIGTERM, SIGHUP and SIGQUIT do to a command."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Self, TypeVar

from keeper.errors import KeeperError, OperatorError

T = TypeVar("T")

INTERRUPTED = 130  # exit code
GRACE_S = 3.0


class Interrupted(OperatorError):
    """A signal ended the command. The message says what remains of its work."""

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message, INTERRUPTED)


def stop_signals() -> list[signal.Signals]:
    """Signals that ask a command to stop. Under `nohup` SIGHUP is ignored, and stays so."""
    names = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
    return [name for name in names if name is not signal.SIGHUP or signal.getsignal(name) is not signal.SIG_IGN]


def run_interruptible(work: Coroutine[Any, Any, T], grace_s: float = GRACE_S) -> T:
    """The result of a command's work. A signal cancels it, and ends the program when it goes on for `grace_s` seconds.

    Raises Interrupted when a signal ended the work; with a message of its own when the work raises Interrupted.
    """
    with _Signals(grace_s) as signals:
        try:
            return asyncio.run(signals.cancelling(work))
        except (asyncio.CancelledError, KeeperError) as error:
            if not signals.heard or isinstance(error, Interrupted):
                raise
            raise Interrupted from None


class _Signals:
    """Handles the first signal; the next one finds the handlers that were there before."""

    def __init__(self, grace_s: float) -> None:
        self.heard = False
        self._grace_s = grace_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other thread may set handlers
            self._before = {name: signal.signal(name, self._hear) for name in stop_signals()}
        return self

    def __exit__(self, *_: object) -> None:
        if self.heard:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._restore()

    async def cancelling(self, work: Coroutine[Any, Any, T]) -> T:
        """The work, which a signal cancels."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self.heard:
            self._cancel()
        return await work

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.heard = True
        self._restore()
        signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, self._grace_s)
        self._cancel()

    def _cancel(self) -> None:
        if self._loop and self._task and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)

    def _restore(self) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._before = {}


def _give_up(_number: int, _frame: FrameType | None) -> None:
    """Ends the program although something cannot be cancelled, such as a thread that waits for a database."""
    sys.stderr.write("keeper: interrupted\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)
