"""`make crash`: kills the keeper many times at each named point of the send path, and prints what came of it."""

import argparse
import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from tests.support.crashing import LAUNCH, POINTS
from tests.support.deaths import Graveyard, graveyard

COLUMNS = ("kills", "intents", "mined", "duplicates", "lost", "gaps", "broken")


async def deaths(yard: Graveyard, point: str, times: int, chance: Random) -> Counter[str]:
    """Kill it so often at one point; `broken` counts deaths after which an invariant did not hold."""
    sums: Counter[str] = Counter(dict.fromkeys(COLUMNS, 0))
    for _ in range(times):
        sums["kills"] += 1
        try:
            found = await yard.die(point, chance.randint(1, 2) if point in LAUNCH else 1)
        except (AssertionError, TimeoutError) as error:
            sums["broken"] += 1
            Console(stderr=True).print(f"{point}: {error}")
            continue
        for column in COLUMNS[1:-1]:
            sums[column] += getattr(found, column)
    return sums


async def run(times: int, seed: int) -> int:
    """All points. The exit code: 0 when nothing was sent twice, lost or left a gap."""
    table, bad = Table("killed at", *COLUMNS, title=f"{times} kills at each point, seed {seed}"), 0
    with tempfile.TemporaryDirectory() as directory:
        async with graveyard(Path(directory)) as yard:
            for point in POINTS:
                sums = await deaths(yard, point, times, Random(f"{point} {seed}"))
                table.add_row(point, *(str(sums[column]) for column in COLUMNS))
                bad += sum(sums[column] for column in COLUMNS[3:])
    Console().print(table)
    return int(bad > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    raise SystemExit(asyncio.run(run(options.times, options.seed)))
