"""`keeper run`: watch and liquidate, block by block."""

import asyncio
import signal
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.interrupt import stop_signals
from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile, settings_from
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.settings import Settings

EXAMPLES = "Examples: `keeper run`, `keeper run --once`, `keeper run --live`"

Live = Annotated[
    bool, typer.Option("--live", help="Sign and send transactions. Without it (a dry run) nothing is signed.")
]
Once = Annotated[bool, typer.Option("--once", help="End after one block.")]
Blocks = Annotated[int | None, typer.Option("--blocks", min=1, help="End after this many blocks.")]


def command(live: Live = False, once: Once = False, blocks: Blocks = None, env_file: EnvFile = DEFAULT_ENV_FILE) -> int:
    """Watch every account in every block, and liquidate the unsafe ones with --live. Without it, log the plans.

    Needs the settings of .env.example, and a signer with --live: run `keeper doctor` first. Ctrl-C, SIGTERM, SIGHUP and
    SIGQUIT end it cleanly: it finishes what it is sending, and the next start continues from the journal.
    """
    if once and blocks is not None:
        raise OperatorError("--once and --blocks exclude each other: give one of them")
    settings = settings_from(env_file, **({"live": True} if live else {}))
    return asyncio.run(_run(settings, 1 if once else blocks))


async def _run(settings: "Settings", blocks: int | None) -> int:
    from keeper.app.daemon import Daemon
    from keeper.app.observers import observing
    from keeper.observe.state import KeeperState

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear(_number: int, _frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for name in stop_signals():
        signal.signal(name, hear)  # the loop's own handlers end with it, and the next signal would kill the program
    state = KeeperState()
    async with observing(settings, state=state) as emit:
        return await Daemon(settings, emit, state=state).run(stop, blocks)
