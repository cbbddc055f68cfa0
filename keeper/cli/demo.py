"""`keeper demo`: a market crashes on a local node, with and without the keeper."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.options import AsJson
from keeper.cli.output import print_json

if TYPE_CHECKING:
    from keeper.demo.results import DemoResult

MISSED, INTERRUPTED = 5, 130

EXAMPLES = "Examples: `keeper demo`, `keeper demo --protocol curie`, `keeper demo --accounts 1000 --seed 7`"

Accounts = Annotated[int, typer.Option("--accounts", help="Number of accounts.")]
Blocks = Annotated[int, typer.Option("--blocks", help="Number of blocks of the price path.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same accounts and prices.")]
Market = Annotated[
    str, typer.Option("--protocol", help="margin_engine, curie (Perpetual Protocol v2), aave_v3 or aave_v3@3.0.2.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the node running, with unsafe accounts, until interrupted.")]
DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="KEEPER_DATA_DIR",
        help="Directory for report, key and settings. Refused when it has an operator's files.",
    ),
]


def command(
    accounts: Accounts = 300,
    blocks: Blocks = 60,
    seed: Seed = 1,
    as_json: AsJson = False,
    keep: Keep = False,
    data_dir: DataDir = Path("keeper-data"),
    protocol: Market = "margin_engine",
) -> int:
    """Run the keeper on a local node while a market crashes, and compare with the same crash without a keeper.

    Starts anvil, deploys the protocol, opens accounts, and writes report.html. Needs no settings. With --keep the node
    keeps running; deployment.json, keeper.key and .env in the data directory are for a keeper on a fork of that node.
    """
    from keeper.app.daemon import Daemon
    from keeper.demo.run import DemoOptions, run_demo

    def ready(result: "DemoResult") -> None:
        if as_json:
            print_json(result.document())

    if os.environ.get("KEEPER_DATA_DIR"):
        sys.stderr.write(f"the demo writes its files to {data_dir} (--data-dir or KEEPER_DATA_DIR)\n")
    options = DemoOptions(accounts, blocks, seed, as_json, keep, data_dir, protocol=protocol)
    try:
        result = asyncio.run(run_demo(options, Daemon, ready))
    except KeyboardInterrupt:
        sys.stderr.write("keeper: interrupted\n")
        return INTERRUPTED
    if result.missed:
        sys.stderr.write(f"keeper: {result.missed} accounts are liquidatable at the end: see the report\n")
        return MISSED
    return 0
