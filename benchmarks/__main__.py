"""`python -m benchmarks [accounts]`: all figures, as a table and in build/bench.json."""

import sys
from pathlib import Path

from benchmarks import memory, speed
from benchmarks.figures import Figure, show, write
from benchmarks.market import seeded

TARGET = Path(__file__).parent.parent / "build" / "bench.json"
SMALL, USUAL = 50, 500


def main() -> int:
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    figures: list[Figure] = []
    with seeded(SMALL) as site:
        figures += speed.requests(site)
    with seeded(USUAL) as site:
        figures += speed.requests(site)
        figures += speed.cold_start(site)
        figures += speed.screening(site.protocol, speed.take_snapshot(site), accounts)
        figures += speed.head_to_wire(site)
    figures += speed.signing()
    figures += memory.figures(accounts)
    show(figures)
    write(figures, TARGET)
    print(f"written: {TARGET}")
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
