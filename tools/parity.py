"""Run the differential tests at full length, print what they compared, and leave build/parity.json."""

import json
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

REPORT = Path("build/parity.json")
WRONG = ("mismatches", "mispredicted", "refused", "let_through")
FORGERIES = 10_000  # altered, and invented, of each adapter's calls


def main() -> int:
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "--timeout", "0", "tests/property", *sys.argv[1:]]
    code = subprocess.run(command, env={**os.environ, "PARITY_REPORT": str(REPORT)}, check=False).returncode
    if not REPORT.exists():
        return code or 1
    protocols = json.loads(REPORT.read_text())["protocols"]
    table = Table(title="local figures against the contracts' own; calls that the key may sign, and forgeries")
    table.add_column("protocol")
    for name in next(iter(protocols.values())):
        table.add_column(name, justify="right")
    for protocol, counts in protocols.items():
        table.add_row(protocol, *(f"{count:,}" for count in counts.values()))
    Console().print(table)
    wrong = sum(sum(counts[name] for name in WRONG) for counts in protocols.values())
    few = [name for name, counts in protocols.items() if min(counts["altered"], counts["invented"]) < FORGERIES]
    if few and not sys.argv[1:]:
        print(f"fewer than {FORGERIES:,} forgeries of the calls of {', '.join(few)}: raise STATES")
        return code or 1
    return code or (1 if wrong else 0)


if __name__ == "__main__":
    sys.exit(main())
