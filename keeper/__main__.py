"""The program's entry: from its first moment on a signal ends it quietly; commands with work to finish take over."""

import signal
import sys
from types import FrameType


def _leave(_number: int, _frame: FrameType | None) -> None:
    if sys.argv[1:2] == ["demo"]:  # ended before its end: who waits for its figures is told
        sys.stderr.write("keeper: interrupted\n")
        raise SystemExit(130)
    raise SystemExit(0)


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
    from keeper.cli.main import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
