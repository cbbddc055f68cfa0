"""Solidity mutants: each patch in contracts/mutants is applied to a copy, and a test of the contracts has to fail.

Arguments choose patches by a part of their name. Fails when less than 95 % are killed, when a survivor has no reason in
contracts/mutants/survivors.toml, and when a patch does not apply or does not compile.
"""

import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox import ROOT, copy, environment, forge

PATCHES = ROOT / "contracts" / "mutants"
REASONS = PATCHES / "survivors.toml"
WORKERS = 2
LEAST_KILLED = 0.95
LIMIT_S = 1_200
# Fewer random cases than in CI: a mutant that only luck would find is a missing test.
FAST = {
    "FOUNDRY_FUZZ_RUNS": "64",
    "FOUNDRY_FUZZ_SEED": "0x5eed",
    "FOUNDRY_INVARIANT_RUNS": "4",
    "FOUNDRY_INVARIANT_DEPTH": "60",
}
TESTS = {"engine": "contracts/test/*.t.sol", "executor": "contracts/test/executor/*.t.sol"}


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant: killed by a test, survived, or broken (not applied, not compiled)."""

    name: str
    what: str
    fate: str
    by: str
    seconds: float


def breaks(patch: Path) -> str:
    """The first line of a patch: what the mutant breaks."""
    return patch.read_text().split("\n", 1)[0]


def run(directory: Path, patch: Path) -> Verdict:
    """Apply one mutant in a copy of the contracts, run the tests concerned, and take it back."""
    began = time.monotonic()
    contracts = directory / "contracts" / "src"
    applied = subprocess.run(
        ["git", "apply", str(patch)],
        cwd=directory,
        env=environment(GIT_CEILING_DIRECTORIES=str(directory.parent)),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        fate, by = ("broken", applied.stderr.strip()) if applied.returncode else judge(directory, patch)
    finally:
        shutil.rmtree(contracts)
        shutil.copytree(directory.parent / "src", contracts)
    return Verdict(patch.stem, breaks(patch), fate, by, time.monotonic() - began)


def judge(directory: Path, patch: Path) -> tuple[str, str]:
    """(fate, the test that failed first or why nothing could be said)."""
    tests = TESTS[patch.name.split("-")[0]]
    command = [forge(), "test", "--fail-fast", "-j", "1", "--match-path", tests]
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment(**FAST),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "broken", f"the tests took longer than {LIMIT_S} s"
    failed = [line.strip() for line in done.stdout.splitlines() if line.startswith("[FAIL")]
    if done.returncode == 0:
        return "survived", ""
    return ("killed", failed[0]) if failed else ("broken", (done.stdout + done.stderr)[-2_000:])


def run_all(patches: list[Path]) -> list[Verdict]:
    """Every mutant, two at a time, each worker in a copy of its own; prints one line for each."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as place, ThreadPoolExecutor(WORKERS) as workers:
        free: queue.Queue[Path] = queue.Queue()
        shutil.copytree(ROOT / "contracts" / "src", Path(place) / "src")
        for number in range(WORKERS):
            copy(Path(place) / str(number))
            free.put(Path(place) / str(number))

        def one(patch: Path) -> Verdict:
            directory = free.get()
            try:
                verdict = run(directory, patch)
            finally:
                free.put(directory)
            print(f"{verdict.fate:<9} {verdict.seconds:5.0f} s  {verdict.name}  {verdict.by[:100]}", flush=True)
            return verdict

        return list(workers.map(one, patches))


def main() -> int:
    wanted = sys.argv[1:]
    patches = [
        path for path in sorted(PATCHES.glob("*.patch")) if not wanted or any(part in path.name for part in wanted)
    ]
    if not patches:
        print(f"no patch in {PATCHES.relative_to(ROOT)} matches {' '.join(wanted)}")
        return 2
    verdicts = run_all(patches)
    reasons = tomllib.loads(REASONS.read_text()) if REASONS.exists() else {}
    killed = sum(verdict.fate == "killed" for verdict in verdicts)
    print(f"{killed} of {len(verdicts)} mutants killed ({killed / len(verdicts):.1%})")
    problems = 0
    for verdict in verdicts:
        if verdict.fate == "killed":
            continue
        reason = reasons.get(verdict.name, "") if verdict.fate == "survived" else ""
        problems += not reason
        print(f"{verdict.fate}: {verdict.name}: {verdict.what}\n  {reason or verdict.by or 'no reason is given'}")
    return 1 if problems or killed < LEAST_KILLED * len(verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
