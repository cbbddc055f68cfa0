"""Write `tiny_lend/abi.json`: what the adapter uses of the compiled contract."""

import json
from pathlib import Path

from conftest import compiled

KEPT = {
    "accrual", "bonus", "collateral", "debt", "feed", "health", "heartbeat", "liquidate", "sharesOf", "threshold",
    "totalCollateral",
}  # fmt: skip
TARGET = Path(__file__).parents[1] / "tiny_lend" / "abi.json"

if __name__ == "__main__":
    whole = compiled()["TinyLend"]["abi"]
    kept = [entry for entry in whole if entry["type"] in ("event", "error") or entry.get("name") in KEPT]
    TARGET.write_text(json.dumps(kept, indent=1) + "\n")
