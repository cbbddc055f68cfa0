"""`keeper status`: the state of the running keeper at its last block."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import cleaned, print_json, show, table
from keeper.clock import SystemClock, iso
from keeper.errors import JournalUnavailable, OperatorError

if TYPE_CHECKING:
    from keeper.observe.status import Status
    from keeper.settings import Settings

EXAMPLES = "Examples: `keeper status`, `keeper status --json`, `keeper status --max-age 300`"
UNHEALTHY = 4

MaxAge = Annotated[
    float | None,
    typer.Option("--max-age", min=1, help="Exit with 4 unless a keeper runs that handled a block in so many seconds."),
]


def command(as_json: AsJson = False, max_age: MaxAge = None, env_file: EnvFile = DEFAULT_ENV_FILE) -> int:
    """Show whether the keeper runs, its last block, the account nearest to liquidation, and open breakers.

    Reads status.json in KEEPER_DATA_DIR, which `keeper run` writes in every block, and the journal. Asks no node.
    """
    settings = settings_from(env_file)
    from keeper.observe.status import read_status

    status = read_status(settings.data_dir)
    running, now = status.running, SystemClock().now()
    code = 0 if max_age is None or (running and now - status.updated_at <= max_age) else UNHEALTHY
    breakers = _breakers(settings, status)
    if as_json:
        print_json({**asdict(status), "running": running, "breakers": breakers})
        return code
    grid = table("keeper", ("", ""))
    grid.show_header = False
    for name, value in _lines(status, running, now):
        grid.add_row(name, value)
    for name, reason in (breakers or {}).items():
        grid.add_row(f"breaker {name}", f"[red]open: {reason}[/red]")
    show(grid)
    return code


def _breakers(settings: "Settings", status: "Status") -> dict[str, str] | None:
    """Open breakers, name to reason, from the journal's database; None when it cannot be read."""
    from keeper.execute.breakers.store import EVERYONE, open_breakers

    signer = bytes.fromhex(status.signer[2:]) if status.signer else EVERYONE
    try:
        found = open_breakers(settings.database_url.get_secret_value(), settings.data_dir, signer, settings.chain_id)
        return {name: cleaned(reason) for name, reason in found.items()}
    except (OperatorError, JournalUnavailable):
        return None


def _lines(status: "Status", running: bool, now: float) -> list[tuple[str, str]]:
    if running:
        state = f"[green]running[/green], pid {status.pid}, since {iso(status.started_at)}"
    else:
        state = f"[yellow]not running[/yellow]: {status.stopped or 'ended without a reason (killed?)'}"
    nearest = "nothing open"
    if status.nearest_health is not None:
        nearest = f"{status.nearest_account} at health {status.nearest_health:.4f}"
    return [
        ("state", state),
        ("mode", f"live as {status.signer}" if status.live else "dry run"),
        ("role", status.role or "not known yet"),
        ("watching", f"{status.protocol} on chain {status.chain_id}"),
        ("last block", f"{status.block}, handled {max(now - status.updated_at, 0):.0f} s ago"),
        ("blocks handled", str(status.blocks_seen)),
        ("accounts", f"{status.active} of {status.accounts} hold something"),
        ("unsafe", f"{status.unsafe}, and {status.unpriced} without a usable price"),
        ("nearest", nearest),
        ("in flight", str(status.in_flight)),
        ("sending", f"[red]held: {status.held}[/red]" if status.held else "open" if status.live and running else "off"),
        ("prices", ", ".join(status.problems) or "all usable"),
    ]
