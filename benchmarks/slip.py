"""`python -m benchmarks.slip`: the demos at several values of KEEPER_MAX_SLIP, as a table."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from keeper.app.daemon import Daemon
from keeper.demo.run import DemoOptions, run_demo

TARGET = Path(__file__).parent.parent / "build" / "slip.json"
PROTOCOLS = ("margin_engine", "aave_v3", "curie")
SLIPS = ("1", "0.20", "0.10", "0.05", "0.02")
COLUMNS = ("rescued", "missed", "sent", "reverted", "replaced", "profit_usd", "bad_debt_usd")

Row = dict[str, Any]


def run(protocol: str, seed: int, slip: str, accounts: int, blocks: int) -> Row:
    """One demo, as `keeper demo --json` reports it."""
    with tempfile.TemporaryDirectory() as directory:
        options = DemoOptions(
            accounts=accounts,
            blocks=blocks,
            seed=seed,
            as_json=True,
            data_dir=Path(directory),
            pace_s=0.05,
            protocol=protocol,
            settings={"max_slip": Decimal(slip)},
        )
        result = asyncio.run(run_demo(options, Daemon)).document()
    return {"protocol": protocol, "seed": seed, "slip": slip, **{name: result[name] for name in COLUMNS}}


def summed(rows: Sequence[Row]) -> Iterator[Row]:
    """A row for each protocol and slip, over all seeds."""
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        for slip in dict.fromkeys(row["slip"] for row in rows):
            found = [row for row in rows if (row["protocol"], row["slip"]) == (protocol, slip)]
            if found:
                yield {
                    "protocol": protocol,
                    "seed": "all",
                    "slip": slip,
                    **{name: round(sum(row[name] for row in found), 2) for name in COLUMNS},
                }


def show(rows: Sequence[Row]) -> None:
    """A table in Markdown."""
    names = ("protocol", "seed", "slip", *COLUMNS)
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(f"{row[name]:,}" if name in COLUMNS else str(row[name]) for name in names) + " |")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slip", description="Demos at several bounds of slip.")
    parser.add_argument("--protocol", action="append", help="can be repeated (all three)")
    parser.add_argument("--seed", type=int, action="append", help="can be repeated (1 and 2)")
    parser.add_argument("--slip", action="append", help="value of KEEPER_MAX_SLIP, can be repeated (1 is no bound)")
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--out", type=Path, default=TARGET, metavar="PATH", help="where the JSON goes")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for protocol in options.protocol or PROTOCOLS:
        for seed in options.seed or (1, 2):
            for slip in options.slip or SLIPS:
                rows.append(run(protocol, seed, slip, options.accounts, options.blocks))
                print(json.dumps(rows[-1]), file=sys.stderr)
                options.out.parent.mkdir(parents=True, exist_ok=True)
                options.out.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
    show([*rows, *summed(rows)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
