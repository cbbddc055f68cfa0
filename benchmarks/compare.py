"""`make bench-compare REV=...`: figures of this working tree against another revision, by alternating runs."""

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from benchmarks.catalogue import NAMES
from benchmarks.figures import cell
from benchmarks.ratios import Measured, Ratio, compared, unpaired
from benchmarks.trees import RunFailed, Tree, UnknownRevision, checkout, compiled, demo_names

ROOT = Path(__file__).parent.parent
WRONG, FAILED, INTERRUPTED = 2, 1, 130
FEW = 6

Runs = list[dict[str, Measured]]
Work = Callable[[Tree], Mapping[str, Measured]]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"bench-compare: {message}\n")
        raise SystemExit(WRONG)


@dataclass(frozen=True, slots=True)
class Options:
    """What is compared, and how."""

    revision: str
    runs: int
    pattern: re.Pattern[str]
    accounts: int
    demo_accounts: int
    seeds: tuple[int, ...]
    protocols: tuple[str, ...]
    forge: str
    as_json: bool


def options_of(arguments: Sequence[str] | None) -> Options:
    """From the command line; ends with 2 and one line when it is wrong."""
    parser = _Parser(prog="python -m benchmarks.compare", description="This working tree against another revision.")
    parser.add_argument("--rev", required=True, help="the other revision, in any form that git knows")
    parser.add_argument("--runs", type=int, default=10, help="runs of each; 6 or more for an interval of 95 %%")
    parser.add_argument("--figures", default="", metavar="PATTERN", help="only figures of such names")
    parser.add_argument("--accounts", type=int, default=50_000, help="accounts of the largest books of the benchmarks")
    parser.add_argument("--demo-accounts", type=int, default=300, help="accounts of the demos")
    parser.add_argument("--seed", type=int, action="append", help="seed of a demo; again for more (default: 1)")
    parser.add_argument("--protocol", action="append", help="of the demos; again for more (default: margin_engine)")
    parser.add_argument("--forge", default="forge", help="builds the other revision's contracts where they differ")
    parser.add_argument("--json", action="store_true", help="one document on standard output, progress beside it")
    given = parser.parse_args(arguments)
    if not given.rev:
        parser.error("REV is empty: name the revision to compare with, as in REV=main~10")
    if given.runs < 1:
        parser.error("RUNS: at least 1")
    try:
        pattern = re.compile(given.figures, re.IGNORECASE)
    except re.error as error:
        parser.error(f"FIGURES is not a regular expression: {error}")
    seeds, protocols = tuple(given.seed or [1]), tuple(given.protocol or ["margin_engine"])
    names = [*NAMES, *(name for protocol in protocols for seed in seeds for name in demo_names(protocol, seed))]
    if not any(pattern.search(name) for name in names):
        parser.error(f"no figure is named like {given.figures!r}: there are {'; '.join(names)}")
    return Options(
        given.rev, given.runs, pattern, given.accounts, given.demo_accounts, seeds, protocols, given.forge, given.json
    )


def works(options: Options, trees: Sequence[Tree]) -> dict[str, Work]:
    """What has to be run for the figures that are wanted, by the name that progress calls it."""
    found: dict[str, Work] = {}
    if any(options.pattern.search(name) for name in NAMES):
        # Where one of the two can only measure everything both do: what ran before may matter.
        part = options.pattern.pattern if all(tree.chooses() for tree in trees) else None
        found["benchmarks"] = lambda tree: tree.benchmarks(options.accounts, part)
    for protocol in options.protocols:
        for seed in options.seeds:
            if any(options.pattern.search(name) for name in demo_names(protocol, seed)):
                found[f"demo {protocol}, seed {seed}"] = _demo(options.demo_accounts, seed, protocol)
    return found


def _demo(accounts: int, seed: int, protocol: str) -> Work:
    return lambda tree: tree.demo(accounts, seed, protocol)


def alternate(options: Options, new: Tree, old: Tree) -> tuple[Runs, Runs]:
    """New, old, new, old: the runs of each. Raises RunFailed."""
    results: dict[str, Runs] = {new.label: [], old.label: []}
    todo = works(options, (new, old))
    for turn in range(1, options.runs + 1):
        for tree in (new, old):
            run: dict[str, Measured] = {}
            for name, work in todo.items():
                started = time.perf_counter()
                run |= work(tree)
                seconds = time.perf_counter() - started
                sys.stderr.write(f"run {turn} of {options.runs}, {tree.label}: {name}: {seconds:.1f} s\n")
            results[tree.label].append(run)
    return results[new.label], results[old.label]


def show(ratios: Sequence[Ratio], revision: str) -> None:
    """A table for people. `differs`: 1 is outside of the interval, and there were enough runs for one."""
    table = Table(title=f"this working tree (new) against {revision} (old): medians", title_justify="left")
    for column in ("figure", "old", "new", "unit", "new / old", "95 % interval", "differs", "runs"):
        table.add_column(column, justify="left" if column in ("figure", "unit", "differs") else "right")
    for one in ratios:
        span = differs = ""
        if one.low is not None and one.high is not None:
            span = f"{one.low:.3f} to {one.high:.3f}"
            differs = "" if one.low <= 1 <= one.high or one.runs < FEW else "yes"
        ratio = "" if one.ratio is None else f"{one.ratio:.3f}"
        table.add_row(one.name, cell(one.old), cell(one.new), one.unit, ratio, span, differs, str(one.runs))
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)


def compare(options: Options, root: Path) -> list[Ratio]:
    """Everything from the checkout to the ratios; says on standard error what it does."""
    with checkout(root, options.revision, options.forge) as folder:
        new, old = Tree("the working tree", root), Tree(f"revision {options.revision}", folder)
        compiled((new, old))
        ours, theirs = alternate(options, new, old)
    for name in unpaired(ours, theirs):
        if options.pattern.search(name):
            sys.stderr.write(f"not compared, only one of the two has it: {name}\n")
    if options.runs < FEW:
        sys.stderr.write(f"fewer than {FEW} runs: an interval holds what was seen, not 95 % of what may be\n")
    return [one for one in compared(ours, theirs) if options.pattern.search(one.name)]


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    options = options_of(arguments)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        ratios = compare(options, root)
    except UnknownRevision as error:
        sys.stderr.write(f"bench-compare: {error}\n")
        return WRONG
    except RunFailed as error:
        sys.stderr.write(f"bench-compare: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("bench-compare: interrupted\n")
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
    if options.as_json:
        sys.stdout.write(json.dumps({"figures": [one.document() for one in ratios]}, indent=1) + "\n")
    else:
        show(ratios, options.revision)
    return 0


if __name__ == "__main__":
    sys.exit(main())
