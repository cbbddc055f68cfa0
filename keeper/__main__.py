"""The program's entry: a signal ends it with one line from its first moment on, until a command handles signals."""

import os
import signal
import sys
from types import FrameType

OWN_FILES = 0o077  # umask: journal, log and status name accounts and amounts: other users must not read them


def _leave(_number: int, _frame: FrameType | None) -> None:
    if sys.argv[1:2] == ["run"]:  # asked to stop before it began: nothing was cut short
        raise SystemExit(0)
    sys.stderr.write("keeper: interrupted\n")
    raise SystemExit(130)


def main() -> None:
    """Run the command line. What it writes, only its own user may read."""
    os.umask(OWN_FILES)
    names = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
    for name in names:
        if name is not signal.SIGHUP or signal.getsignal(name) is not signal.SIG_IGN:  # under `nohup` it is ignored
            signal.signal(name, _leave)
    from keeper.cli.main import main as run

    try:
        sys.exit(run())
    finally:
        for name in names:  # its work is done: while Python ends, a signal would kill it and change the exit code
            signal.signal(name, signal.SIG_IGN)


if __name__ == "__main__":
    main()
