"""`keeper scan`: the health of every account, most urgent first."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import dollars, print_json, ratio, show, table

if TYPE_CHECKING:
    from keeper.protocols.base import Protocol, Snapshot

EXAMPLES = "Examples: `keeper scan`, `keeper scan --json --block 1614`, `keeper scan --limit 0`"

BlockNumber = Annotated[
    int | None,
    typer.Option("--block", min=0, help="Show the state and timestamp of this block; the newest if not given."),
]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Rows of the table; 0 shows all. JSON always has all.")]


def command(
    as_json: AsJson = False, block: BlockNumber = None, limit: Limit = 20, env_file: EnvFile = DEFAULT_ENV_FILE
) -> None:
    """Show the health of every account, most urgent first.

    Lists the accounts that hold something and have had a position or debt, at one block. The last column
    marks accounts that can be liquidated now. Reads the nodes of KEEPER_RPC_URLS and the deployment file; needs
    no key and sends nothing.
    """
    settings = settings_from(env_file)
    from keeper.app.session import Session
    from keeper.cli.session import run_once, snapshot_at

    async def look(session: Session) -> dict[str, Any]:
        return report(session.protocol, await snapshot_at(session, block))

    document = run_once(settings, look)
    if as_json:
        print_json(document)
        return
    accounts = document["accounts"]
    head = document["block"]
    grid = table(
        f"{document['protocol']} at block {head['number']}: {len(accounts)} accounts, "
        f"{sum(entry['liquidatable'] for entry in accounts)} liquidatable",
        ("account", "health", "equity $", "requirement $", ""),
        right=("health", "equity $", "requirement $"),
    )
    for entry in accounts[: limit or None]:
        grid.add_row(*_cells(entry))
    show(grid)
    if limit and len(accounts) > limit:
        show(f"{len(accounts) - limit} more: --limit 0 shows all")


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    if entry["health_wad"] is None:
        return entry["account"], ratio(None), "?", "?", f"[yellow]{entry['refused']}: {entry['unpriced']}[/yellow]"
    mark = "[red]liquidatable[/red]" if entry["liquidatable"] else ""
    equity, requirement = int(entry["equity"]), int(entry["requirement"])
    return entry["account"], ratio(int(entry["health_wad"])), dollars(equity), dollars(requirement), mark


def report(protocol: "Protocol", snapshot: "Snapshot") -> dict[str, Any]:
    """The document of `--json`: integers as decimal strings, accounts by ascending health, unpriced ones last."""
    from keeper.abi import checksum
    from keeper.model.chain import hexed

    known, unpriced = [], []
    for row in exposed_rows(protocol, snapshot):
        address = checksum(snapshot.columns.accounts.address(row))
        entry, urgency = _entry(protocol, snapshot, row, address)
        if urgency is None:
            unpriced.append(entry)
        else:
            known.append((urgency, address, entry))
    known.sort(key=lambda item: item[:2])
    block = snapshot.block
    return {
        "protocol": protocol.name,
        "block": {"number": block.number, "hash": hexed(block.hash), "timestamp": block.timestamp},
        "accounts": [entry for _, _, entry in known] + sorted(unpriced, key=lambda entry: str(entry["account"])),
    }


def exposed_rows(protocol: "Protocol", snapshot: "Snapshot") -> list[int]:
    """Rows of the accounts that ever held a position or debt and still hold anything."""
    tables = snapshot.columns.tables.values()
    exposed = {row for held in tables if held.spec.exposure for row in held.accounts.tolist()}
    active = protocol.screen(snapshot, snapshot.block.timestamp).active
    return [row for row in sorted(exposed) if active[row]]


def _entry(
    protocol: "Protocol", snapshot: "Snapshot", row: int, address: str
) -> tuple[dict[str, Any], tuple[bool, int, int] | None]:
    """One account's entry, and its urgency: None when its health cannot be known."""
    from keeper.errors import Refused
    from keeper.model.health import INFINITE_HEALTH

    try:
        health = protocol.health(snapshot, row, snapshot.block.timestamp)
    except Refused as error:
        return {
            "account": address,
            "health_wad": None,
            "equity": None,
            "requirement": None,
            "liquidatable": False,
            "refused": error.code,
            "unpriced": str(error),
            "views": {},
        }, None
    entry = {
        "account": address,
        # Where nothing is required it is infinite, even if something is owed: `liquidatable` tells.
        "health_wad": str(health.health_wad if health.requirement else INFINITE_HEALTH),
        "equity": str(health.equity),
        "requirement": str(health.requirement),
        "liquidatable": health.liquidatable,
        "views": {name: value if isinstance(value, bool) else str(value) for name, value in health.views.items()},
    }
    return entry, (not health.liquidatable, health.health_wad, health.equity)
