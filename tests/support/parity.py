"""What the differential tests counted, for `make parity`: written where PARITY_REPORT says, a protocol at a time."""

import json
import os
from pathlib import Path

COUNTS = ("states", "views", "mismatches", "liquidations", "mispredicted")


def note_parity(protocol: str, **counts: int) -> None:
    """Add to a protocol's counts. Nothing is written without PARITY_REPORT."""
    target = os.environ.get("PARITY_REPORT")
    if not target:
        return
    path = Path(target)
    path.parent.mkdir(exist_ok=True)
    report = json.loads(path.read_text()) if path.exists() else {"protocols": {}}
    kept = report["protocols"].setdefault(protocol, dict.fromkeys(COUNTS, 0))
    for name, count in counts.items():
        kept[name] += count
    path.write_text(json.dumps(report, indent=2) + "\n")
