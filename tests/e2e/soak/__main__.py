"""`make soak N=5000`: blocks of a live market under light faults, one keeper process, and what it came to hold."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.e2e.soak.run import Soak

ALLOWED_GROWTH = 0.05  # of resident memory, between the second fifth and the last


def verdict(samples: list[dict[str, int]]) -> dict[str, Any]:
    """Figures of the second and the last fifth, and whether they agree."""
    fifth = max(len(samples) // 5, 1)
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    figures: dict[str, Any] = {}
    for name in ("rss_kb", "descriptors", "tasks"):
        figures[name] = {
            "second_fifth": round(mean(one[name] for one in early), 1),
            "last_fifth": round(mean(one[name] for one in late), 1),
        }
    memory = figures["rss_kb"]
    figures["growth"] = round(memory["last_fifth"] / memory["second_fifth"] - 1, 4)
    figures["ok"] = (
        figures["growth"] <= ALLOWED_GROWTH
        and max(one["descriptors"] for one in late) <= max(one["descriptors"] for one in early)
        and max(one["tasks"] for one in late) <= max(one["tasks"] for one in early)
    )
    return figures


async def soak(blocks: int, seed: int, directory: Path) -> dict[str, Any]:
    run = Soak(directory, random.Random(seed))
    async with run.started():
        for _ in track(range(blocks), "blocks", console=Console(stderr=True)):
            await run.block()
        await run.settle()
        counts = run.counts()
    return {"blocks": blocks, "seed": seed, **counts, **verdict(run.samples())}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--blocks", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(soak(options.blocks, options.seed, Path(directory)))
    target = Path("build")
    target.mkdir(exist_ok=True)
    (target / "soak.json").write_text(json.dumps(result, indent=2) + "\n")
    if options.json:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    else:
        table = Table(title=f"{options.blocks} blocks in one process")
        table.add_column("what")
        table.add_column("value", justify="right")
        for name, value in result.items():
            table.add_row(name, json.dumps(value))
        Console().print(table)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
