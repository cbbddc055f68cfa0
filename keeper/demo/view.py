"""What a person sees while the demo runs: tables that are redrawn on a terminal, plain lines elsewhere."""

import math
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

from keeper.demo.results import DemoResult, all_liquidations, bad_debt, ever_unsafe, rescued
from keeper.model.events import Event
from keeper.sim.records import BlockRecord

BARS = "▁▂▃▄▅▆▇█"
BUCKETS = (
    (0.0, "bankrupt", "red"),
    (0.5, "below 0.5", "red"),
    (1.0, "0.5 - 1", "red"),
    (1.1, "1 - 1.1", "yellow"),
    (2.0, "1.1 - 2", "green"),
    (5.0, "2 - 5", "green"),
    (10.0, "5 - 10", "green"),
    (float("inf"), "10 and more", "green"),
)
OVERLOOKED_BLOCKS = 10
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
        table = _facts()
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


def _facts() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    return table


def prices_table(records: Sequence[BlockRecord]) -> Table:
    """Each price with its change since the first block."""
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    for label, price in records[-1].prices.items():
        change = price / records[0].prices[label] - 1
        colour = "red" if change < -0.001 else "green" if change > 0.001 else "dim"
        line = spark([record.prices[label] for record in records], 24)
        table.add_row(label, f"{price:,.2f}", Text(f"{change:+.1%}", colour), Text(line, colour))
    return table


def health_table(record: BlockRecord) -> Table:
    """How many accounts lie in each range of health."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    counts = histogram(record)
    largest = max(*counts.values(), 1)
    for _, name, colour in BUCKETS:
        # Square roots, so that a few unsafe accounts are visible beside many safe ones.
        length = round(26 * math.sqrt(counts[name] / largest))
        table.add_row(name, str(counts[name]), Text("█" * length, colour))
    return table


def histogram(record: BlockRecord) -> dict[str, int]:
    """Accounts by range of health, worst first."""
    counts = {name: 0 for _, name, _ in BUCKETS}
    for state in record.states:
        counts[next((name for limit, name, _ in BUCKETS if state.health < limit), BUCKETS[-1][1])] += 1
    return counts


def overlooked(records: Sequence[BlockRecord]) -> int:
    """Accounts that were unsafe for `OVERLOOKED_BLOCKS` blocks without a liquidation."""
    window = records[-OVERLOOKED_BLOCKS:]
    if len(window) < OVERLOOKED_BLOCKS:
        return 0
    helped = {liquidation.account for record in window for liquidation in record.liquidations}
    rows = [row for row, account in enumerate(window[-1].accounts) if account not in helped]
    return sum(all(record.states[row].unsafe for record in window) for row in rows)


def rescue_table(records: Sequence[BlockRecord], without_keeper_usd: float) -> Table:
    """Results so far."""
    ever, last = len(ever_unsafe(records)), records[-1]
    liquidations = all_liquidations(records)
    profit = sum(liquidation.reward_usd for liquidation in liquidations) - sum(record.gas_usd for record in records)
    table = _facts()
    table.add_row("unsafe now", Text(str(last.unsafe), "bold red" if last.unsafe else "green"))
    missed = overlooked(records)
    waiting = f"{missed} unsafe for {OVERLOOKED_BLOCKS} blocks or more without a liquidation" if missed else "none"
    table.add_row("missed", Text(waiting, "red" if missed else "dim"))
    table.add_row("rescued", f"{len(rescued(records))} of {ever} accounts that were unsafe")
    full = sum(liquidation.full for liquidation in liquidations if liquidation.kind == "liquidate")
    seized = sum(liquidation.kind == "seize" for liquidation in liquidations)
    table.add_row("liquidations", f"{len(liquidations) - full - seized} partial, {full} full, {seized} seizures")
    table.add_row("bad debt", f"{dollars(bad_debt(records))}, {dollars(without_keeper_usd)} without a keeper")
    table.add_row("profit", f"{dollars(profit)} after {dollars(sum(r.gas_usd for r in records))} of gas")
    return table


def result_table(result: DemoResult) -> Table:
    """The figures at the end of the demo."""
    table = Table(title="What the keeper did", title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(style="dim")
    table.add_column(justify="right")
    waits = result.blocks_to_inclusion
    prevented = result.bad_debt_without_keeper_usd - result.bad_debt_usd
    rows = (
        ("accounts", f"{result.accounts}"),
        ("ever liquidatable", f"{result.liquidatable}"),
        ("rescued, with no debt written off", f"{result.rescued}"),
        ("still open, smaller and safe", f"{result.still_open}"),
        ("closed: no position left", f"{result.wiped_out}"),
        ("missed: liquidatable at the end", f"{result.missed}"),
        ("liquidations", f"{result.partial} partial, {result.full} full"),
        ("seizures of collateral", f"{result.seized}"),
        ("bad debt", dollars(result.bad_debt_usd)),
        ("bad debt without a keeper", dollars(result.bad_debt_without_keeper_usd)),
        ("bad debt prevented", dollars(prevented)),
        ("profit after gas", dollars(result.profit_usd)),
        ("gas", f"{result.gas_wei / 10**18:.4f} ETH"),
        ("transactions", f"{result.sent} sent, {result.mined} mined, {result.reverted} reverted"),
        ("replacements", f"{result.replaced}"),
        (
            "blocks to inclusion",
            "-" if waits.p50 is None else f"{waits.p50:.0f} median, {waits.p99:.0f} at the 99th percentile",
        ),
    )
    for name, value in rows:
        table.add_row(name, value)
    return table


def dollars(amount: float) -> str:
    """Whole dollars, the sign in front."""
    return f"{'-' if round(amount) < 0 else ''}${abs(amount):,.0f}"


def spark(values: Sequence[float], width: int) -> str:
    """The newest values as a line of bars."""
    count = min(width, len(values))
    shown = [values[(index + 1) * len(values) // count - 1] for index in range(count)]
    low, high = min(shown), max(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in shown)
