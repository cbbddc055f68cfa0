"""`keeper kill`: stop sending, and cancel what is in flight."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.interrupt import Interrupted, run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile, settings_from
from keeper.clock import SystemClock
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.model.intent import Intent
    from keeper.settings import Settings

EXAMPLES = "Examples: `keeper kill`, `keeper kill --wait 0`"
REMAINS = 6
_HELD = 3  # exit code of a keeper that finds another one
_LOOK_S = 0.2
DRAIN_S = 15.0  # more than a keeper needs to finish what it is sending

Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until no transaction is in flight.")]


def command(wait: Wait = 120.0, env_file: EnvFile = DEFAULT_ENV_FILE) -> int:
    """Turn the kill switch on: send nothing new, and cancel transactions in flight by a self-transfer at their nonces.

    The switch is in the journal's database, and stays on until `keeper resume`, also over restarts and takeovers. A
    running keeper sees it within a block and cancels; where none runs, this command cancels, with the signer. Ends with
    0 when nothing is in flight any more, with 6 when something is.
    """
    settings = settings_from(env_file, live=True)
    _pull(settings)
    remaining = run_interruptible(_cancelled(settings, wait), DRAIN_S)
    for intent in remaining:
        newest = f", newest transaction 0x{intent.attempts[-1].tx_hash.hex()}" if intent.attempts else ""
        _say(f"still in flight: nonce {intent.nonce}, {intent.state} {intent.kind} {intent.subject}".rstrip() + newest)
    if not remaining:
        _say("no transaction is in flight")
    return REMAINS if remaining else 0


def _pull(settings: "Settings") -> None:
    from keeper.execute.breakers.store import EVERYONE, open_breaker_store

    url = settings.database_url.get_secret_value()
    book = open_breaker_store(url, settings.data_dir, EVERYONE, settings.chain_id)
    try:
        book.kill("kill switch set by `keeper kill`", int(SystemClock().now()))
    finally:
        book.close()


def _open_intents(settings: "Settings") -> list["Intent"]:
    """Of every signer on this chain: the kill switch is for all of them."""
    from keeper.execute.journal.journal import read_open_intents

    return read_open_intents(settings.database_url.get_secret_value(), settings.data_dir, settings.chain_id)


async def _cancelled(settings: "Settings", wait_s: float) -> list["Intent"]:
    """Intents still in flight after the wait. Where no keeper runs, one is started: the switch makes it cancel."""
    _say("the kill switch is on: nothing new is sent until `keeper resume`")
    remaining = _open_intents(settings)
    if not remaining:
        return []
    from keeper.app.daemon import Daemon
    from keeper.observe.log import EventLog
    from keeper.settings import secrets_of

    clock = SystemClock()
    log = EventLog(settings.log_level, settings.log_json, secrets_of(settings), clock)
    stop = asyncio.Event()
    keeper = asyncio.create_task(Daemon(settings, log, clock).run(stop))
    ends = clock.monotonic() + wait_s
    try:
        while (remaining := await asyncio.to_thread(_open_intents, settings)) and clock.monotonic() < ends:
            _raise_unless_another_runs(keeper)
            await asyncio.sleep(_LOOK_S)
    except asyncio.CancelledError:
        state = f"the kill switch is on, {len(remaining)} transactions are in flight"
        raise Interrupted(f"interrupted: {state}; run `keeper kill` again to cancel them") from None
    finally:
        stop.set()
        await asyncio.gather(keeper, return_exceptions=True)
        log.close()
    return remaining


def _raise_unless_another_runs(keeper: "asyncio.Task[int]") -> None:
    """Raises the error of a keeper that could not start, unless the reason is that another one runs and cancels."""
    error = keeper.exception() if keeper.done() else None
    if error is not None and not (isinstance(error, OperatorError) and error.exit_code == _HELD):
        raise error


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
