"""The stateful invariants of both contracts: 256 runs of 500 actions, with three random seeds, or those of SEED=1,2.

RUNS and DEPTH say otherwise. The seeds are printed before they are used; arguments go to forge.
"""

import os
import queue
import secrets
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox import copy, environment, forge

SEEDS = 3
WORKERS = 2
CONTRACTS = ("InvariantsTest", "ExecutorInvariantsTest")  # the longer one first
LENGTH = {
    "FOUNDRY_INVARIANT_RUNS": os.environ.get("RUNS") or "256",
    "FOUNDRY_INVARIANT_DEPTH": os.environ.get("DEPTH") or "500",
}


def seeds() -> list[str]:
    """Those of SEED, separated by commas, else three random ones."""
    given = os.environ.get("SEED", "")
    return given.split(",") if given else [str(secrets.randbelow(10**12)) for _ in range(SEEDS)]


def play(directory: Path, contract: str, seed: str) -> bool:
    """One campaign; prints its result, and everything that forge says where it found something."""
    began = time.monotonic()
    done = subprocess.run(
        [forge(), "test", "--match-contract", f"^{contract}$", "--fuzz-seed", seed, "-j", "1", *sys.argv[1:]],
        cwd=directory,
        env=environment(**LENGTH),
        capture_output=True,
        text=True,
        check=False,
    )
    shown = [line for line in done.stdout.splitlines() if line.startswith(("[PASS]", "[FAIL"))]
    print(f"seed {seed}, {contract}, {time.monotonic() - began:.0f} s", *shown[:4], sep="\n  ", flush=True)
    if done.returncode:
        print((done.stdout + done.stderr)[-6_000:], flush=True)
    return done.returncode == 0


def main() -> int:
    chosen = seeds()
    runs, depth = LENGTH.values()
    print(f"invariants: {runs} runs of {depth} actions, seeds {', '.join(chosen)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="invariants-") as place, ThreadPoolExecutor(WORKERS) as workers:
        free: queue.Queue[Path] = queue.Queue()
        for number in range(WORKERS):
            copy(Path(place) / str(number))
            free.put(Path(place) / str(number))

        def one(job: tuple[str, str]) -> bool:
            directory = free.get()
            try:
                return play(directory, *job)
            finally:
                free.put(directory)

        jobs = [(contract, seed) for contract in CONTRACTS for seed in chosen]
        held = list(workers.map(one, jobs))
    failed = sorted({seed for (_, seed), passed in zip(jobs, held, strict=True) if not passed})
    for seed in failed:
        print(f"broken: make audit-invariants SEED={seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
