"""The daemon in a process of its own, which notes what it holds: `python -m tests.e2e.soak.child SAMPLES`.

Settings come from the environment, as for `keeper run --live`.
"""

import asyncio
import gc
import json
import os
import signal
import sys
from pathlib import Path

from keeper.app.daemon import Daemon
from keeper.app.observers import observing
from keeper.model.events import HEAD_NEW, Event
from keeper.settings import load_settings

EVERY = 25  # blocks


def sample(block: int) -> dict[str, int]:
    """Resident memory in kB, open file descriptors, tasks of the event loop."""
    gc.collect()
    status = Path("/proc/self/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no stat of each
    return {"block": block, "rss_kb": resident, "descriptors": descriptors, "tasks": len(asyncio.all_tasks())}


async def main(samples: Path) -> int:
    settings = load_settings(None, live=True)
    stop, handled = asyncio.Event(), 0
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)

    with samples.open("a") as out:

        def watch(event: Event) -> None:
            nonlocal handled
            if event.kind is HEAD_NEW:
                handled += 1
                if handled % EVERY == 0:
                    out.write(json.dumps(sample(event.block or 0)) + "\n")
                    out.flush()

        async with observing(settings, terminal=False) as bus:
            bus.listen(watch)
            return await Daemon(settings, bus).run(stop)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
