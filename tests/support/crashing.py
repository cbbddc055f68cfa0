"""`keeper run --live` in processes that end themselves by SIGKILL at a named point of the send path.

A parent that has everything imported forks them, so that a death costs a tenth of a second. As a program it is that
parent: it reads a line of JSON for each child and answers with its pid, then with how it ended. The points are told to
the child here, by wrapping what builds its executor; the keeper itself knows nothing of this module.
"""

import asyncio
import functools
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Self

LAUNCH = ("journal.reserved", "signer.signed", "journal.committed", "sender.sent", "journal.noted", "journal.settled")
_REPLACE = ("signer.signed", "journal.committed", "sender.sent", "journal.noted")
REPLACEMENT = tuple(f"replacement.{point}" for point in _REPLACE)
CANCEL = tuple(f"cancel.{point}" for point in _REPLACE)
POINTS = (*LAUNCH, *REPLACEMENT, *CANCEL, "rebroadcast.sender.sent")
_END_S = 60.0


class Zygote:
    """The parent, and at most one child at a time."""

    def __init__(self) -> None:
        self._parent: Process | None = None
        self.pid = 0
        self.exit_code: int | None = None
        self._ending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
        self._parent = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.crashing", stdin=PIPE, stdout=PIPE,
            env=inherited | {"OPENBLAS_NUM_THREADS": "1"}, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        if self._ending is not None:
            await self._ending
        assert self._parent is not None
        self._parent.kill()
        await self._parent.communicate()

    @property
    def running(self) -> bool:
        return self._ending is not None and not self._ending.done()

    async def spawn(self, settings: Mapping[str, str], point: str = "", nth: int = 1) -> int:
        """Start a keeper that dies when it comes to a point for the `nth` time; without a point it lives."""
        assert not self.running, "one at a time"
        order = {"environment": dict(settings), "point": point, "nth": nth}
        assert self._parent is not None
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(order).encode() + b"\n")
        self.exit_code = None
        self.pid = await self._line()
        self._ending = asyncio.create_task(self._end())
        return self.pid

    async def ended(self) -> int:
        """How it ended: its exit code, negative for a signal."""
        assert self._ending is not None
        async with asyncio.timeout(_END_S):
            await asyncio.shield(self._ending)
        assert self.exit_code is not None
        return self.exit_code

    async def kill(self) -> None:
        """SIGKILL from outside, at whatever it is doing."""
        os.kill(self.pid, signal.SIGKILL)
        assert await self.ended() == -signal.SIGKILL

    async def _end(self) -> None:
        self.exit_code = await self._line()

    async def _line(self) -> int:
        assert self._parent is not None
        assert self._parent.stdout is not None
        return int(await self._parent.stdout.readline())


def _main() -> None:
    """The parent's loop."""
    import keeper.app.daemon  # noqa: F401 - what children need is loaded once

    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _live(order["environment"], order["point"], order["nth"])
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _live(environment: Mapping[str, str], point: str, nth: int) -> None:
    """Be a keeper. Does not return."""
    import keeper.app.daemon
    from keeper.__main__ import main
    from keeper.app.execution import build_execution

    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1) if os.environ.get("CRASHING_VERBOSE") else (0, 1, 2):
        os.dup2(silence, stream)
    os.environ.update(environment)
    os.chdir(environment["KEEPER_DATA_DIR"])
    seen: Counter[str] = Counter()

    def hook(name: str) -> None:
        seen[name] += 1
        if name == point and seen[name] == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    keeper.app.daemon.build_execution = functools.partial(build_execution, hook=hook)
    sys.argv = ["keeper", "run", "--live"]
    try:
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    finally:
        os._exit(70)


if __name__ == "__main__":
    _main()
