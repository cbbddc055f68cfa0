"""Slither over contracts/src, without interfaces and mocks: every finding has a reason in contracts/audit/slither.toml.

Fails on a finding without a reason, and on a reason without a finding.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from sandbox import AUDIT, ROOT, copy, environment

REASONS = ROOT / "contracts" / "audit" / "slither.toml"
SKIPPED = "contracts/src/(mocks|interfaces)|node_modules"


def place(element: dict[str, Any]) -> str:
    """Contract.function, or Contract.function.variable, of what a finding is about."""
    parent = element.get("type_specific_fields", {}).get("parent")
    if element["type"] == "node":
        return place(parent)
    return f"{place(parent)}.{element['name']}" if parent else str(element["name"])


def findings(report: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(detector, place) -> what slither says, its first line."""
    found = {}
    for item in report["results"].get("detectors", []):
        where = place(item["elements"][0]) if item["elements"] else "-"
        found.setdefault((item["check"], where), f"{item['impact']}: {item['description'].splitlines()[0].strip()}")
    return found


def reasons(path: Path) -> dict[tuple[str, str], str]:
    """(detector, place) -> why it is no fault."""
    entries = tomllib.loads(path.read_text())["explained"]
    return {(entry["check"], where): entry["why"] for entry in entries for where in entry["where"]}


def analyse() -> dict[str, Any]:
    """Slither's report on a copy of the sources. Raises SystemExit when it cannot analyse them."""
    with tempfile.TemporaryDirectory(prefix="slither-") as name:
        directory = Path(name) / "copy"
        directory.mkdir()
        copy(directory, tests=False)
        report = Path(name) / "report.json"
        command = [
            str(AUDIT / "slither"),
            ".",
            "--foundry-compile-all",
            "--exclude-dependencies",
            "--filter-paths",
            SKIPPED,
            "--json",
            str(report),
        ]
        done = subprocess.run(
            command, cwd=directory, env=environment(), capture_output=True, text=True, timeout=1_200, check=False
        )
        answer = json.loads(report.read_text()) if report.exists() else {"success": False}
    if not answer["success"]:
        sys.exit(f"slither could not analyse the contracts: {answer.get('error') or done.stderr[-2_000:]}")
    return dict(answer)


def main() -> int:
    found, explained = findings(analyse()), reasons(REASONS)
    for key in sorted(found.keys() - explained.keys()):
        print(f"no reason is given: {key[0]} in {key[1]}\n  {found[key]}")
    for key in sorted(explained.keys() - found.keys()):
        print(f"a reason without a finding: {key[0]} in {key[1]}")
    print(f"slither: {len(found)} findings, {len(found.keys() & explained.keys())} explained")
    return 0 if found.keys() == explained.keys() else 1


if __name__ == "__main__":
    sys.exit(main())
