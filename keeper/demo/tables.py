"""The tables of the demo: prices, health, liquidations, and the figures at the end."""

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from keeper.demo.results import DemoResult, all_liquidations, bad_debt, ever_unsafe, rescued
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


def facts() -> Table:
    """An empty table of names and values."""
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
    table = facts()
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
