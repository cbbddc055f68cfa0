"""The `keeper` program. Every error becomes one line on standard error and an exit code."""

import os
import sys
from typing import Annotated

import typer

from keeper import __version__
from keeper.cli import demo, doctor, executor, kill, plan, pnl, resume, run, scan, status, txs
from keeper.cli.interrupt import INTERRUPTED
from keeper.cli.output import cleaned
from keeper.errors import InvariantBroken, KeeperError, OperatorError

PREFLIGHT = 4
BROKEN = 5

app = typer.Typer(
    name="keeper",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings come from the environment and .env (see .env.example). "
    "Exit codes: 0 ok, 2 wrong settings or input, 3 another keeper holds this signer, 4 preflight failed, "
    "5 an invariant broke, 6 transactions are still in flight after `keeper kill`, 130 interrupted.",
)
for module in (demo, doctor, scan, plan, run, status, kill, resume, txs, pnl):
    app.command(module.__name__.rpartition(".")[2], epilog=module.EXAMPLES)(module.command)
app.add_typer(executor.app)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"keeper {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Watches every account of a margin or lending protocol, and liquidates the unsafe ones.

    Nothing is signed or sent without `--live`. Start with `keeper demo`, which needs no settings. On a real chain use
    `keeper doctor`, `keeper scan` and `keeper plan` before `keeper run`.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; the console script exits with it."""
    try:
        return app(arguments, prog_name="keeper", standalone_mode=False) or 0
    except (typer.TyperException, KeeperError) as error:
        message, code = _explained(error)
        sys.stderr.write(f"keeper: {cleaned(' '.join(message.split()))}\n")
        return code
    except BrokenPipeError:
        # The reader of a pipe went away; the interpreter would complain once more while flushing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        sys.stderr.write(f"keeper: {error.strerror or error}{f': {error.filename}' if error.filename else ''}\n")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("keeper: interrupted\n")
        return INTERRUPTED


def _explained(error: Exception) -> tuple[str, int]:
    """What to say of an error, and the exit code."""
    match error:
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            where = context.command_path if context else "keeper"
            problem = error.format_message().rstrip(".") or "no command was given"
            return f"{problem}: see `{where} --help`", error.exit_code
        case OperatorError():
            return str(error), error.exit_code
        case InvariantBroken():
            return f"an invariant broke, nothing more is sent: {error}", BROKEN
    return str(error), PREFLIGHT
