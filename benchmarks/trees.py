"""A checkout that is measured: its own programs as processes of their own, nothing of it imported."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ratios import Measured

# What the contracts are built from: where both trees agree in it, one build serves both.
BUILT_FROM = ("contracts", "foundry.toml", "tools/solc.mjs", "package-lock.json")
LINKED = (".venv", "node_modules")
ENDING_S = 10.0
TAIL = 8


class UnknownRevision(Exception):
    """Git knows no such commit, or cannot check it out."""


class RunFailed(Exception):
    """A program of one of the trees did not do its work; says which, and the last lines of what it wrote."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A checkout by the name that progress and errors call it."""

    label: str
    root: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python ARGUMENTS` in this tree, whose modules are found first. Ends with us, and what it started, too."""
        command = [sys.executable, *arguments]
        with subprocess.Popen(
            command,
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate()
            except BaseException:
                _end(process)
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def failed(self, ran: subprocess.CompletedProcess[str]) -> RunFailed:
        """The error of a run without a result."""
        lines = (ran.stderr.strip() or ran.stdout.strip() or "it wrote nothing").splitlines()[-TAIL:]
        command = " ".join(["python", *ran.args[1:]])
        return RunFailed(f"{self.label}: `{command}` failed with exit code {ran.returncode}:\n" + "\n".join(lines))

    def chooses(self) -> bool:
        """Can its benchmarks measure a part of the figures?"""
        return "--figures" in self.run("-m", "benchmarks", "--help").stdout

    def benchmarks(self, accounts: int, pattern: str | None) -> dict[str, Measured]:
        """Figures of `python -m benchmarks`, all of them without a pattern. Raises RunFailed."""
        target = self.root / "build" / "bench.json"
        with tempfile.TemporaryDirectory() as directory:
            arguments = [str(accounts)]
            if pattern is not None:
                target = Path(directory) / "bench.json"
                arguments += ["--figures", pattern, "--out", str(target)]
            target.unlink(missing_ok=True)
            ran = self.run("-m", "benchmarks", *arguments)
            if not target.exists():  # an exit code of 1 alone only says that a goal was missed
                raise self.failed(ran)
            figures = json.loads(target.read_text())["figures"]
        return {figure["name"]: Measured(figure["name"], figure["value"], figure["unit"]) for figure in figures}

    def demo(self, accounts: int, seed: int, protocol: str) -> dict[str, Measured]:
        """Figures of one `keeper demo`. Raises RunFailed."""
        with tempfile.TemporaryDirectory() as directory:
            options = ["--accounts", str(accounts), "--seed", str(seed), "--protocol", protocol]
            started = time.perf_counter()
            ran = self.run("-m", "keeper", "demo", "--json", *options, "--data-dir", f"{directory}/demo")
            seconds = time.perf_counter() - started
        try:
            document = json.loads(ran.stdout)
        except ValueError:
            raise self.failed(ran) from None
        return {one.name: one for one in demo_figures(document, seconds, protocol, seed)}


DEMO = {"bad debt prevented": "share", "wall time": "s", "gas": "wei", "profit": "USD"}


def demo_names(protocol: str, seed: int) -> list[str]:
    """The figures of one demo."""
    return [f"demo {protocol}, seed {seed}: {what}" for what in DEMO]


def demo_figures(document: Mapping[str, Any], seconds: float, protocol: str, seed: int) -> list[Measured]:
    """What a demo's document says; there is no share of bad debt where there was none to prevent."""
    without = float(document["bad_debt_without_keeper_usd"])
    share = 1 - float(document["bad_debt_usd"]) / without if without else None
    values = (share, seconds, float(document["gas_wei"]), float(document["profit_usd"]))
    named = zip(demo_names(protocol, seed), values, DEMO.values(), strict=True)
    return [Measured(name, value, unit) for name, value, unit in named if value is not None]


@contextmanager
def checkout(root: Path, revision: str, forge: str) -> Iterator[Path]:
    """A revision in a folder of its own, with contracts built; gone afterwards. Raises UnknownRevision, RunFailed."""
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").stdout.strip()
    if not commit:
        raise UnknownRevision(f"REV={revision}: git knows no such commit")
    with tempfile.TemporaryDirectory(prefix="bench-compare-") as directory:
        tree = Path(directory) / "tree"
        try:
            added = _git(root, "worktree", "add", "--quiet", "--detach", str(tree), commit)
            if added.returncode:
                raise UnknownRevision(f"REV={revision}: {added.stderr.strip()}")
            _equip(root, tree, commit, forge)
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", str(tree))


def _equip(root: Path, tree: Path, commit: str, forge: str) -> None:
    """What is installed and built, from the working tree as far as it is the same."""
    for name in LINKED:
        if (root / name).exists():
            (tree / name).symlink_to(root / name)
    for built in (root / "build").glob("aave-*.json"):
        (tree / "build").mkdir(exist_ok=True)
        shutil.copy2(built, tree / "build")
    if _git(root, "diff", "--quiet", commit, "--", *BUILT_FROM).returncode == 0 and (root / "contracts/out").is_dir():
        shutil.copytree(root / "contracts/out", tree / "contracts/out")
    elif (tree / "foundry.toml").is_file():
        program = str(root / forge) if "/" in forge else forge
        ran = subprocess.run([program, "build"], cwd=tree, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise RunFailed(f"contracts of {commit[:12]}: forge build failed:\n{ran.stderr[-1000:]}")


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # In a session of its own: an interrupt must not stop git while it cleans up.
    return subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=False, start_new_session=True
    )


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupt a process and what it started; kill what does not end."""
    for number, patience in ((signal.SIGINT, ENDING_S), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return
        return


def compiled(trees: Sequence[Tree]) -> None:
    """Byte code of both, so that no first run pays for it."""
    for tree in trees:
        tree.run("-m", "compileall", "-q", *(name for name in ("keeper", "benchmarks") if (tree.root / name).is_dir()))
