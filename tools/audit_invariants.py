"""The stateful invariants of both contracts: 256 runs of 500 actions, with three random seeds, or SEED=... alone.

RUNS and DEPTH say otherwise. The seeds are printed before they are used.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sandbox import copy, environment, forge

SEEDS = 3


def seeds() -> list[str]:
    """Those of SEED, separated by commas, else three random ones."""
    given = os.environ.get("SEED", "")
    return given.split(",") if given else [str(secrets.randbelow(10**12)) for _ in range(SEEDS)]


def main() -> int:
    runs, depth = os.environ.get("RUNS") or "256", os.environ.get("DEPTH") or "500"
    failed = []
    with tempfile.TemporaryDirectory(prefix="invariants-") as name:
        directory = Path(name) / "copy"
        directory.mkdir()
        copy(directory)
        for seed in seeds():
            print(f"invariants: {runs} runs of {depth} actions, seed {seed}", flush=True)
            began = time.monotonic()
            done = subprocess.run(
                [forge(), "test", "--match-contract", "Invariants", "--fuzz-seed", seed, "-j", "2", *sys.argv[1:]],
                cwd=directory,
                env=environment(FOUNDRY_INVARIANT_RUNS=runs, FOUNDRY_INVARIANT_DEPTH=depth),
                capture_output=True,
                text=True,
                check=False,
            )
            shown = [line for line in done.stdout.splitlines() if "invariant_" in line or line.startswith("[FAIL")]
            print("\n".join(shown), f"\n  {time.monotonic() - began:.0f} s", flush=True)
            if done.returncode:
                print((done.stdout + done.stderr)[-6_000:])
                failed.append(seed)
    for seed in failed:
        print(f"broken: make audit-invariants SEED={seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
