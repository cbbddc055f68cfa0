"""Bytes an account: the book of 1,000,000 accounts with 3 holdings each. Alone: `python -m benchmarks.memory`."""

import random
import sys
from pathlib import Path

from benchmarks.figures import Figure, at_most, show
from keeper.protocols.columns import Columns, TableSpec, Writer

GOAL_BYTES = 300
# The shape of a cross-margin account: a signed balance, a collateral, a position.
MIXED = (TableSpec("settlement", ("balance",)), TableSpec("collateral", ("balance",)),
         TableSpec("position", ("size", "cost", "funding"), exposure=True))  # fmt: skip
# The widest that is planned: every holding with three 128-bit values.
WIDE = (TableSpec("holding", ("first", "second", "third"), exposure=True),)


def build(specs: tuple[TableSpec, ...], accounts: int, seed: int = 1) -> Columns:
    """A book with three holdings for each account, written as logs would: in random order, one at a time."""
    chance = random.Random(seed)
    columns = Columns(specs)
    writer = Writer(columns)
    owners = [chance.randbytes(20) for _ in range(accounts)]
    wanted = [specs[turn % len(specs)] for turn in range(3)]
    for turn, spec in enumerate(wanted):
        chance.shuffle(owners)
        for owner in owners:
            asset = turn if len(specs) == 1 else chance.randrange(8)
            writer.put(spec.name, owner, asset, [chance.getrandbits(90) - (1 << 89) for _ in spec.columns])
            writer.undo.clear()
        writer.touched.clear()
    return columns


def figures(accounts: int = 1_000_000) -> list[Figure]:
    """Allocated bytes of the columns, index and spare capacity included, by account."""
    found = []
    for name, specs in (("1 + 1 + 3 values", MIXED), ("3 x 3 values", WIDE)):
        columns = build(specs, accounts)
        assert len(columns) == accounts
        detail = f"{accounts:,} accounts x 3 holdings"
        value = columns.nbytes / accounts
        found.append(at_most(f"book memory ({name})", value, "bytes an account", GOAL_BYTES, detail))
    return found


def resident_bytes() -> int:
    """Memory of this process that is in use now, where the system tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    show(figures(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
