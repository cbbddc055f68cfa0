"""`python -m benchmarks [accounts] [--figures PATTERN] [--out PATH]`: figures as a table and as JSON."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import memory, speed
from benchmarks.catalogue import GROUPS, NAMES, SMALL, USUAL, groups_of
from benchmarks.figures import Figure, show, write
from benchmarks.market import seeded

TARGET = Path(__file__).parent.parent / "build" / "bench.json"
ON_THE_USUAL_MARKET = frozenset({"requests", "cold start", "screening", "head to wire"})


def measure(groups: frozenset[str], accounts: int) -> Iterator[Figure]:
    """The figures of some groups; `accounts`: size of the books that need no chain."""
    if "small market" in groups:
        with seeded(SMALL) as site:
            yield from speed.requests(site)
    if groups & ON_THE_USUAL_MARKET:
        with seeded(USUAL) as site:
            work: dict[str, Callable[[], list[Figure]]] = {
                "requests": lambda: speed.requests(site),
                "cold start": lambda: speed.cold_start(site),
                "screening": lambda: speed.screening(site.protocol, speed.take_snapshot(site), accounts),
                "head to wire": lambda: speed.head_to_wire(site),
            }
            for group in GROUPS:
                if group in groups & ON_THE_USUAL_MARKET:
                    yield from work[group]()
    if "signing" in groups:
        yield from speed.signing()
    if "memory" in groups:
        yield from memory.figures(accounts)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures this checkout.")
    parser.add_argument("accounts", nargs="?", type=int, default=1_000_000, help="accounts of the largest books")
    parser.add_argument("--figures", default="", metavar="PATTERN", help="only groups with a figure of such a name")
    parser.add_argument("--out", type=Path, default=TARGET, metavar="PATH", help="where the JSON goes")
    options = parser.parse_args(arguments)
    try:
        groups = groups_of(options.figures)
    except re.error as error:
        parser.error(f"--figures is not a regular expression: {error}")
    if not groups:
        parser.error(f"no figure is named like {options.figures!r}: there are {'; '.join(NAMES)}")
    figures = list(measure(groups, options.accounts))
    wanted = [name for group, names in GROUPS.items() if group in groups for name in names]
    if [figure.name for figure in figures] != wanted:
        raise RuntimeError("names of figures are stable: what was measured differs from benchmarks/catalogue.py")
    show(figures)
    write(figures, options.out)
    print(f"written: {options.out}")
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
