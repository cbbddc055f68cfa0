"""What a person sees while the demo runs: tables that are redrawn on a terminal, plain lines elsewhere."""

import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from keeper.demo.results import DemoResult, all_liquidations
from keeper.demo.tables import facts, health_table, prices_table, rescue_table, result_table, spark
from keeper.model.events import Event
from keeper.sim.records import BlockRecord

SHOWN = frozenset(
    {"account.unsafe", "plan.rejected", "tx.mined", "tx.replaced", "tx.reverted", "tx.cancelled", "tx.unknown"}
)
COLOURS = {"debug": "dim", "info": "default", "warning": "yellow", "error": "red", "critical": "bold red"}
GWEI = 10**9


class DemoView(Protocol):
    """Shows the progress of the demo."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def progress(self, task: str, done: int, total: int) -> None:
        """Progress of a part of the set-up."""
        ...

    def block(self, records: Sequence[BlockRecord], total: int, without_keeper_usd: float, waiting: int, /) -> None:
        """A block was mined: all records so far, and how many blocks the path has."""
        ...

    def event(self, event: Event) -> None:
        """The keeper emitted an event."""
        ...

    def say(self, text: str) -> None:
        """Show a line."""
        ...

    def finish(self, result: DemoResult) -> None:
        """Show the figures at the end, unless standard output carries the JSON document."""
        ...


def make_view(as_json: bool) -> DemoView:
    """Tables on a terminal, lines elsewhere; on standard error when standard output carries the JSON document."""
    console = Console(stderr=as_json)
    if console.is_terminal:
        return LiveView(console, quiet=as_json)
    return LineView(sys.stderr if as_json else sys.stdout, quiet=as_json)


@dataclass(slots=True)
class LineView:
    """Plain lines: one for each finished part, one for every tenth block."""

    out: TextIO
    quiet: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def progress(self, task: str, done: int, total: int) -> None:
        if done == total:
            self.say(f"{task}: done")

    def block(self, records: Sequence[BlockRecord], total: int, _without_keeper_usd: float, _waiting: int) -> None:
        if len(records) % 10 and len(records) != total:
            return
        last = records[-1]
        prices = "  ".join(f"{label} {price:,.2f}" for label, price in last.prices.items())
        self.say(
            f"block {len(records)} of {total}  {last.phase:<9}  {prices}  unsafe {last.unsafe}  "
            f"liquidations {len(all_liquidations(records))}  base fee {last.base_fee / GWEI:.1f} gwei"
        )

    def event(self, event: Event) -> None:
        if event.kind.level in ("error", "critical"):
            self.say(f"{event.kind.level}: {event.message}")

    def say(self, text: str) -> None:
        print(text, file=self.out, flush=True)

    def finish(self, result: DemoResult) -> None:
        if not self.quiet:
            Console(file=self.out, width=100).print(result_table(result))


@dataclass(slots=True)
class LiveView:
    """Tables that are redrawn at each block."""

    console: Console
    quiet: bool = False
    _recent: deque[Event] = field(default_factory=lambda: deque(maxlen=7))
    _counts: Counter[str] = field(default_factory=Counter)
    _tasks: dict[str, int] = field(default_factory=dict)  # description -> id in the progress bars
    _bars: Progress = field(init=False)
    _live: Live = field(init=False)

    def __post_init__(self) -> None:
        columns = (TextColumn("{task.description:<28}"), BarColumn(36), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=self.console)
        self._live = Live(self._bars, console=self.console, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def progress(self, task: str, done: int, total: int) -> None:
        if task not in self._tasks:
            self._tasks[task] = self._bars.add_task(task, total=total)
        self._bars.update(self._tasks[task], completed=done)  # type: ignore[arg-type]

    def event(self, event: Event) -> None:
        self._counts[event.kind.code] += 1
        if event.kind.code in SHOWN or event.kind.level in ("error", "critical"):
            self._recent.append(event)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    def finish(self, result: DemoResult) -> None:
        self._live.stop()
        if not self.quiet:
            self.console.print(result_table(result))

    def block(self, records: Sequence[BlockRecord], total: int, without_keeper_usd: float, waiting: int) -> None:
        upper = Table.grid(expand=True, padding=(0, 1))
        upper.add_column(ratio=1)
        upper.add_column(ratio=1)
        upper.add_row(
            Group(_panel("Prices", prices_table(records)), _panel("Block space", self._space(records, waiting))),
            Group(
                _panel("Health of accounts", health_table(records[-1])),
                _panel("Liquidations", rescue_table(records, without_keeper_usd)),
            ),
        )
        self._live.update(Group(_heading(records, total), upper, _panel("Events", self._log())))

    def _space(self, records: Sequence[BlockRecord], waiting: int) -> Table:
        last = records[-1]
        table = facts()
        table.add_row("base fee", f"{last.base_fee / GWEI:.2f} gwei  {spark([r.base_fee for r in records], 24)}")
        table.add_row("block", f"{last.gas_used / last.gas_limit:.0%} full")
        table.add_row("in flight", f"{waiting} pending, {self._counts['tx.replaced']} replaced")
        table.add_row("mined", f"{sum(r.mined for r in records)}, {sum(r.reverted for r in records)} reverted")
        return table

    def _log(self) -> RenderableType:
        lines = [
            Text(
                f"{event.block or '':>5}  {event.message}", COLOURS[event.kind.level], no_wrap=True, overflow="ellipsis"
            )
            for event in self._recent
        ]
        missing = (self._recent.maxlen or 0) - len(lines)
        return Group(*lines, *[Text("")] * missing)


def _panel(title: str, body: RenderableType) -> Panel:
    return Panel(body, title=title, title_align="left", border_style="dim", padding=(0, 1))


def _heading(records: Sequence[BlockRecord], total: int) -> Text:
    phase = records[-1].phase
    colour = {"crash": "bold white on red", "rebound": "black on yellow"}.get(phase, "black on green")
    return Text.assemble(
        (" keeper demo ", "reverse"), f"  block {min(len(records), total)} of {total}  ", (f" {phase} ", colour)
    )
