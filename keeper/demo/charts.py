"""The plots of the demo's report. The colours are legible on light and dark pages; the page colours text and grid."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise

from keeper.demo.results import all_liquidations, ever_unsafe
from keeper.demo.svg import Axis, Plot
from keeper.sim.records import BlockRecord, LiquidationRecord

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#3d85c6", "#dd8a1c", "#2a9d76", "#d5485c", "#8b6bc0", "#8a929e"
SERIES = (ORANGE, BLUE, PURPLE, GREEN, GREY)
QUANTILES = ((0.1, PURPLE, "10 % are below"), (0.5, BLUE, "median"), (0.9, GREEN, "90 % are below"))
HEALTH_LOW, HEALTH_TOP = -1.0, 4.0  # values beyond are drawn here
BIN = 0.1  # of health
GWEI = 10**9
TARGET, CLOSED = 1.10, 1.5  # of a partial liquidation; where accounts without a position are drawn


def _by_block(records: Sequence[BlockRecord], y: Axis, second: Axis | None = None, height: int = 300) -> Plot:
    """A plot over the blocks; the crash shaded, and darker where other people's transactions took all block space."""
    x = Axis("block", low=records[0].number - 1, high=records[-1].number + 1)
    plot = Plot(x, y, height, second)
    crash = [record.number for record in records if record.phase == "crash"]
    squeezed = [record.number for record in records if record.phase == "crash" and _is_squeezed(record)]
    for numbers, colour, opacity in ((crash, RED, 0.07), (squeezed, PURPLE, 0.16)):
        if numbers:
            plot.band(numbers[0] - 0.5, numbers[-1] + 0.5, colour, opacity)
    return plot


def _is_squeezed(record: BlockRecord) -> bool:
    """Whether others' transactions took the whole block."""
    return record.gas_used > 0.99 * record.gas_limit and not record.mined and not record.reverted


def _blocks(records: Sequence[BlockRecord]) -> list[int]:
    return [record.number for record in records]


def prices(records: Sequence[BlockRecord]) -> list[Plot]:
    """Prices against the first block, with a dot where a market's positions were liquidated."""
    plot = _by_block(records, Axis("since the first block", "{:+.0%}".format))
    first = records[0].prices
    for colour, label in zip(SERIES, first, strict=False):
        change = {record.number: record.prices[label] / first[label] - 1 for record in records}
        plot.line(list(change), list(change.values()), label, colour)
        done: dict[int, list[float]] = {}
        for liquidation in all_liquidations(records):
            if liquidation.kind == "liquidate" and liquidation.subject == label:
                done.setdefault(liquidation.block, []).append(liquidation.notional_usd)
        dots = [
            (block, change[block], _diameter(sum(closed)), f"{label}: {len(closed)} liquidations, ${sum(closed):,.0f}")
            for block, closed in done.items()
        ]
        plot.dots(dots, "", colour)
    return [plot]


def _diameter(notional: float) -> float:
    """Pixels, so that the area of a dot grows with the dollars."""
    return min(30.0, 5 + math.sqrt(notional) / 60)


def quantile(values: Sequence[float], share: float) -> float:
    """Nearest rank, of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]


def health(records: Sequence[BlockRecord], baseline: Sequence[BlockRecord]) -> list[Plot]:
    """Quantiles of health of the accounts that were ever unsafe, and how many are, with and without the keeper."""
    upper = _by_block(records, Axis("health", low=-0.5, high=2.5))
    rows, blocks, aligned = ever_unsafe(records), _blocks(records), _aligned(records, baseline)
    for share, colour, name in QUANTILES:
        upper.line(blocks, [_level(record, rows, share) for record in records], name, colour)
    alone = [_level(record, ever_unsafe(baseline), 0.5) for record in baseline]
    upper.line(aligned, alone, "median without a keeper", RED, "dotted")
    upper.rule(GREY, y=1.0)
    lower = _by_block(records, Axis("accounts", zero=True), height=220)
    lower.bars(blocks, [record.unsafe for record in records], "unsafe", ORANGE)
    lower.line(aligned, [record.unsafe for record in baseline], "unsafe without a keeper", RED, "dotted")
    return [upper, lower]


def _level(record: BlockRecord, rows: set[int], share: float) -> float | None:
    """The health below which this share of the accounts with open positions among `rows` lies."""
    values = sorted(record.states[row].health for row in rows if record.states[row].requirement)
    return _clipped(quantile(values, share)) if values else None


def _clipped(health: float) -> float:
    return max(HEALTH_LOW, min(health, HEALTH_TOP))


def _aligned(records: Sequence[BlockRecord], baseline: Sequence[BlockRecord]) -> list[int]:
    """Block numbers of the run with the keeper for the same steps of the run without."""
    start = next((record.number for record in records if record.prices == baseline[0].prices), records[0].number)
    return [start + index for index in range(len(baseline))]


def ends(records: Sequence[BlockRecord], baseline: Sequence[BlockRecord]) -> list[Plot]:
    """Health of all accounts that still require margin at the end: with the keeper, and without."""
    title = f"health at the end ({HEALTH_LOW:.0f}: that or less, {HEALTH_TOP:.0f}: that or more)"
    plot = Plot(Axis(title, low=HEALTH_LOW - BIN, high=HEALTH_TOP + BIN), Axis("accounts", zero=True))
    for name, record, colour in (("without a keeper", baseline[-1], RED), ("with the keeper", records[-1], BLUE)):
        bins = Counter(
            math.floor((_clipped(state.health) - HEALTH_LOW) / BIN + 1e-9)
            for state in record.states
            if state.requirement
        )
        middles = [HEALTH_LOW + (number + 0.5) * BIN for number in sorted(bins)]
        plot.bars(middles, [bins[number] for number in sorted(bins)], name, colour, BIN * 0.96)
    plot.rule(GREY, x=1.0)
    return [plot]


def rescues(records: Sequence[BlockRecord]) -> list[Plot]:
    """Each liquidation: the account's health in the block before, and after."""
    axes = (Axis("health before", "{:.1f}".format), Axis("health after", "{:.1f}".format))
    plot = Plot(*axes, height=420)
    pairs = [pair for pair in before_and_after(records) if pair[0].kind == "liquidate"]
    for name, full, colour in (("partial", False, BLUE), ("full", True, ORANGE)):
        dots = [
            (
                max(HEALTH_LOW, before),
                max(HEALTH_LOW, min(after, CLOSED)),
                8.0,
                f"0x{done.account.hex()[:8]} {done.subject} ${done.notional_usd:,.0f}: {before:.3f} to {after:.3f}",
            )
            for done, before, after in pairs
            if done.full == full
        ]
        plot.dots(dots, name, colour)
    plot.rule(GREEN, y=TARGET, text=f"target {TARGET:.2f}")
    plot.rule(GREY, y=1.0)
    return [plot]


def before_and_after(records: Sequence[BlockRecord]) -> list[tuple[LiquidationRecord, float, float]]:
    """Every liquidation with its account's health in the block before it and in its own."""
    found: list[tuple[LiquidationRecord, float, float]] = []
    if not records:
        return found
    rows = {account: row for row, account in enumerate(records[0].accounts)}
    for before, after in pairwise(records):
        for liquidation in after.liquidations:
            row = rows[liquidation.account]
            found.append((liquidation, before.states[row].health, after.states[row].health))
    return found


def debts(records: Sequence[BlockRecord], baseline: Sequence[BlockRecord]) -> list[Plot]:
    """Bad debt after each block, with and without the keeper."""
    plot = _by_block(records, Axis("bad debt", "${:,.0f}".format, zero=True))
    written_off = accumulate(record.bad_debt_usd for record in records)
    with_keeper = [gone + record.shortfall_usd for gone, record in zip(written_off, records, strict=True)]
    without = [record.shortfall_usd for record in baseline]
    plot.line(_aligned(records, baseline), without, "without a keeper", RED, "filled")
    plot.line(_blocks(records), with_keeper, "with the keeper", BLUE, "filled")
    return [plot]


def money(records: Sequence[BlockRecord]) -> list[Plot]:
    """Profit so far, and what gas cost in each block beside the base fee."""
    blocks, dollars = _blocks(records), "${:,.0f}".format
    earned = list(accumulate(sum(one.reward_usd for one in r.liquidations) - r.gas_usd for r in records))
    upper = _by_block(records, Axis("profit", dollars))
    upper.line(blocks, earned, "profit after gas", GREEN)
    lower = _by_block(records, Axis("gas a block", "${:,.2f}".format, zero=True), Axis("gwei", zero=True), 240)
    lower.bars(blocks, [record.gas_usd for record in records], "gas", PURPLE)
    lower.line(blocks, [record.base_fee / GWEI for record in records], "base fee", ORANGE, "second")
    return [upper, lower]
