"""A measured figure, and how figures are shown and written."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One result. `floor` is the plain way of doing the same, measured in the same run, and `ratio` value / floor.

    Names are stable, see benchmarks/catalogue.py; `detail` says what was measured in this run: counts, sizes.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    goal: float | None = None
    met: bool | None = None
    detail: str = ""


def at_most(name: str, value: float, unit: str, goal: float, detail: str = "") -> Figure:
    """A cost with a limit."""
    return Figure(name, value, unit, goal=goal, met=value <= goal, detail=detail)


def against(name: str, value: float, unit: str, floor: float, detail: str = "") -> Figure:
    """A rate beside the rate of the plain way."""
    return Figure(name, value, unit, floor=floor, ratio=value / floor, detail=detail)


def best_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of the fastest of some runs: the one that was disturbed least."""
    found = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        found = min(found, time.perf_counter() - started)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def show(figures: Sequence[Figure]) -> None:
    """A table for people."""
    table = Table(title="measured on this machine, now", title_justify="left")
    for column in ("figure", "value", "unit", "plain way", "ratio", "goal", "met", "detail"):
        table.add_column(column, justify="left" if column in ("figure", "unit", "met", "detail") else "right")
    for figure in figures:
        met = {None: "", True: "yes", False: "NO"}[figure.met]
        numbers = [cell(number) for number in (figure.floor, figure.ratio, figure.goal)]
        table.add_row(figure.name, cell(figure.value), figure.unit, *numbers, met, figure.detail)
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)


def write(figures: Sequence[Figure], path: Path) -> None:
    """The same for programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"figures": [asdict(figure) for figure in figures]}, indent=1) + "\n")
