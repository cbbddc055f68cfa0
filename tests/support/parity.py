"""What the differential tests counted, for `make parity`: written where PARITY_REPORT says, a protocol at a time."""

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

from keeper.errors import InvariantBroken
from keeper.execute.signing.calls import AdapterCalls, LimitReached
from keeper.model.chain import Call
from keeper.protocols.base import Protocol, Snapshot
from tests.support.forging import WAYS, altered, invented

COUNTS = (
    "states", "views", "mismatches", "liquidations", "mispredicted",
    "calls", "refused", "altered", "invented", "let_through",
)  # fmt: skip
FORGERIES = 10_000  # of each kind that a full run makes of each adapter's calls
_tried = Counter[str]()


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


def check_permits(protocol: Protocol, snapshot: Snapshot, call: Call) -> None:
    """The key may sign a call that the adapter made, and none of its forgeries."""
    rules, rng = AdapterCalls(protocol), Random(call.data)
    rules.see(snapshot)
    many = 48 if os.environ.get("PARITY_REPORT") and _tried[protocol.name] < FORGERIES else 4
    _tried[protocol.name] += many
    changed = [altered(call.data, WAYS[count % len(WAYS)], rng) for count in range(many)]
    made = [invented(call, rng) for _ in range(many)]
    through = [data for data in changed + made if not _refusal(rules, replace(call, data=data))]
    why = _refusal(rules, call)
    note_parity(protocol.name, calls=1, refused=int(bool(why)), altered=many, invented=many, let_through=len(through))
    assert not why, f"{protocol.name}: a call that the adapter made is not permitted: {why}"
    assert not through, f"{protocol.name}: 0x{through[0].hex()} is permitted, forged from 0x{call.data.hex()}"


def _refusal(rules: AdapterCalls, call: Call) -> str:
    try:
        rules.check(call, replaces=False)
    except (InvariantBroken, LimitReached) as error:
        return str(error)
    return ""
