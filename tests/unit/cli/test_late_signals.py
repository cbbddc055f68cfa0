"""A signal that comes when a command has done its work does not change how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
NAMES = [name.name for name in SIGNALS]
WHILE_PYTHON_ENDS = """
import os, sys
class Late:
    def __del__(self, kill=os.kill, me=os.getpid()):
        kill(me, NUMBER)
late = Late()
sys.argv = ["keeper", "--version"]
from keeper.__main__ import main
main()
"""
AFTER_THE_LOOP = """
import asyncio, os, sys
from keeper.app import daemon
run = asyncio.run
async def nothing(*_):
    return 0
def late(work):
    code = run(work)
    os.kill(os.getpid(), NUMBER)
    return code
daemon.Daemon.run, asyncio.run = nothing, late
sys.argv = ["keeper", "run", "--once"]
from keeper.__main__ import main
main()
"""


@pytest.mark.parametrize("name", SIGNALS, ids=NAMES)
@pytest.mark.parametrize("program", [WHILE_PYTHON_ENDS, AFTER_THE_LOOP], ids=["while Python ends", "after the loop"])
def test_it_ends_as_without_the_signal(
    place: Path, settings: dict[str, str], program: str, name: signal.Signals
) -> None:
    code = program.replace("NUMBER", str(int(name)))
    environment = {**os.environ, **settings}
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=place, env=environment, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
