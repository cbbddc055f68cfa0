"""Halmos on contracts/test/symbolic: access, callbacks and pauses, for all callers and arguments.

Arguments go to halmos; then the number of checks is not compared with that in the sources.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox import AUDIT, ROOT, copy, environment

CHECKS = ROOT / "contracts" / "test" / "symbolic"
LIMIT_S = 1_800
SUMMARY = re.compile(r"Symbolic test result: (\d+) passed; (\d+) failed")


def written() -> int:
    """How many checks there are in the sources: one that halmos does not find must not pass for proved."""
    return sum(len(re.findall(r"^    function check_", path.read_text(), re.M)) for path in CHECKS.glob("*.sol"))


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="halmos-") as name:
        directory = Path(name) / "copy"
        directory.mkdir()
        copy(directory)
        command = [
            str(AUDIT / "halmos"),
            "--match-contract",
            "^Symbolic",
            "--forge-build-out",
            "contracts/out",
            "--loop",
            "8",
            "--solver-timeout-assertion",
            "120000",
            *sys.argv[1:],
        ]
        done = subprocess.run(
            command, cwd=directory, env=environment(), capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    print("\n".join(line for line in (done.stdout + done.stderr).splitlines() if line.strip()))
    results = SUMMARY.findall(done.stdout)
    passed, failed = (sum(int(result[at]) for result in results) for at in (0, 1))
    wanted = passed if sys.argv[1:] else written()
    print(f"halmos: {passed} of {wanted} checks proved, {failed} failed")
    return 0 if done.returncode == 0 and failed == 0 and passed == wanted > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
