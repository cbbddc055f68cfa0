"""`keeper run`: the daemon."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.interrupt import stop_signals
from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile, settings_from
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.settings import Settings

EXAMPLES = "Examples: `keeper run`, `keeper run --once`, `keeper run --live`"

Live = Annotated[
    bool, typer.Option("--live", help="Send transactions. Without it nothing is signed and nothing leaves.")
]
Once = Annotated[bool, typer.Option("--once", help="Handle one block and end.")]
Blocks = Annotated[int | None, typer.Option("--blocks", min=1, help="Handle so many blocks and end.")]


def command(live: Live = False, once: Once = False, blocks: Blocks = None, env_file: EnvFile = DEFAULT_ENV_FILE) -> int:
    """Watch every account block by block, and liquidate the unsafe ones when --live is given.

    Ends cleanly on Ctrl-C, SIGTERM, SIGHUP and SIGQUIT: what is being sent is finished and noted first; a second start
    goes on from the journal. Needs the settings of .env.example; with --live also a signer.
    """
    if once and blocks is not None:
        raise OperatorError("--once and --blocks are both given: keep one")
    settings = settings_from(env_file, **({"live": True} if live else {}))
    return asyncio.run(_run(settings, 1 if once else blocks))


async def _run(settings: "Settings", blocks: int | None) -> int:
    from keeper.app.daemon import Daemon
    from keeper.app.observers import observing
    from keeper.observe.state import KeeperState

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in stop_signals():
        loop.add_signal_handler(name, stop.set)
    state = KeeperState()
    async with observing(settings, state=state) as emit:
        return await Daemon(settings, emit, state=state).run(stop, blocks)
