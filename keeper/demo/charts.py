"""The plots of the demo's report. Colours hold on light and dark paper; the page sets text and grid."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from keeper.demo.results import all_liquidations, ever_unsafe
from keeper.sim.records import BlockRecord, LiquidationRecord

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#3d85c6", "#dd8a1c", "#2a9d76", "#d5485c", "#8b6bc0", "#8a929e"
SERIES = (ORANGE, BLUE, PURPLE, GREEN, GREY)
QUANTILES = ((0.1, PURPLE, "a tenth are below"), (0.5, BLUE, "half"), (0.9, GREEN, "nine tenths"))
HEALTH_LOW, HEALTH_TOP = -1.0, 4.0  # beyond these, accounts are all the same to a reader
GWEI = 10**9
TARGET, CLOSED = 1.10, 1.5  # of a partial liquidation; where accounts without a position are drawn

Figure = Any


def _figure(rows: int = 1, heights: Sequence[float] | None = None, second_axis: bool = False) -> Figure:
    from plotly.subplots import make_subplots

    specs = [[{"secondary_y": second_axis and row == rows - 1}] for row in range(rows)]
    figure = make_subplots(rows, 1, shared_xaxes=True, vertical_spacing=0.07, row_heights=heights, specs=specs)
    figure.update_layout(
        height=300 * rows if rows == 1 else 500,
        margin={"l": 70, "r": 60, "t": 34, "b": 44},  # the same in all, so that blocks lie below one another
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        hovermode="x unified",
        bargap=0.15,
    )
    return figure


def _by_block(figure: Figure, records: Sequence[BlockRecord], rows: int = 1) -> None:
    """One axis of blocks for all plots; the crash shaded, and deeper where the crowd took all block space."""
    figure.update_xaxes(domain=[0, 1], range=[records[0].number - 1, records[-1].number + 1], automargin=False)
    figure.update_yaxes(automargin=False)
    figure.update_xaxes(title="block", row=rows, col=1)
    squeezed = [record.number for record in records if record.phase == "crash" and _is_squeezed(record)]
    crash = [record.number for record in records if record.phase == "crash"]
    for row in range(1, rows + 1):
        for numbers, colour, opacity in ((crash, RED, 0.07), (squeezed, PURPLE, 0.16)):
            if numbers:
                figure.add_vrect(
                    numbers[0] - 0.5,
                    numbers[-1] + 0.5,
                    fillcolor=colour,
                    opacity=opacity,
                    line_width=0,
                    layer="below",
                    row=row,
                    col=1,
                )


def _is_squeezed(record: BlockRecord) -> bool:
    """Whether others' transactions took the whole block."""
    return record.gas_used > 0.99 * record.gas_limit and not record.mined and not record.reverted


def _blocks(records: Sequence[BlockRecord]) -> list[int]:
    return [record.number for record in records]


def prices(records: Sequence[BlockRecord]) -> Figure:
    """Prices against the first block, with a mark where a market's positions were liquidated."""
    figure = _figure()
    first = records[0].prices
    for colour, label in zip(SERIES, first, strict=False):
        change = {record.number: record.prices[label] / first[label] - 1 for record in records}
        figure.add_scatter(x=list(change), y=list(change.values()), name=label, line={"color": colour, "width": 2})
        done: dict[int, list[LiquidationRecord]] = {}
        for liquidation in all_liquidations(records):
            if liquidation.kind == "liquidate" and liquidation.subject == label:
                done.setdefault(liquidation.block, []).append(liquidation)
        figure.add_scatter(
            x=list(done),
            y=[change[block] for block in done],
            mode="markers",
            marker={
                "color": colour,
                "opacity": 0.55,
                "line": {"width": 0},
                "size": [
                    _area(sum(liquidation.notional_usd for liquidation in liquidations))
                    for liquidations in done.values()
                ],
            },
            text=[
                f"{len(liquidations)} liquidations, ${sum(one.notional_usd for one in liquidations):,.0f}"
                for liquidations in done.values()
            ],
            hovertemplate="%{text}<extra>" + label + "</extra>",
            showlegend=False,
        )
    _by_block(figure, records)
    figure.update_yaxes(tickformat="+.0%", title="since the first block")
    return figure


def _area(notional: float) -> float:
    """Diameter in pixels, so that the area of a mark grows with the dollars."""
    return min(30.0, 5 + math.sqrt(notional) / 60)


def quantile(values: Sequence[float], share: float) -> float:
    """Nearest rank, of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]


def health(records: Sequence[BlockRecord], baseline: Sequence[BlockRecord]) -> Figure:
    """Health of the accounts that ever were unsafe, as quantiles; and how many were, with and without the keeper."""
    figure = _figure(2, (0.6, 0.4))
    rows = ever_unsafe(records)
    blocks = _blocks(records)
    for share, colour, name in QUANTILES:
        levels = [_level(record, rows, share) for record in records]
        figure.add_scatter(x=blocks, y=levels, name=name, line={"color": colour, "width": 2}, row=1, col=1)
    alone = [_level(record, ever_unsafe(baseline), 0.5) for record in baseline]
    dotted = {"color": RED, "width": 2, "dash": "dot"}
    aligned = _aligned(records, baseline)
    figure.add_scatter(x=aligned, y=alone, name="half, with no keeper", line=dotted, row=1, col=1)
    figure.add_hline(1.0, line={"color": GREY, "width": 1.5, "dash": "dot"}, row=1, col=1)
    figure.add_bar(x=blocks, y=[record.unsafe for record in records], name="unsafe", marker_color=ORANGE, row=2, col=1)
    unsafe = [record.unsafe for record in baseline]
    figure.add_scatter(x=aligned, y=unsafe, name="unsafe with no keeper", line=dotted, row=2, col=1)
    _by_block(figure, records, 2)
    figure.update_yaxes(title="health", range=[-0.5, 2.5], row=1, col=1)
    figure.update_yaxes(title="accounts", rangemode="tozero", row=2, col=1)
    return figure


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


def ends(records: Sequence[BlockRecord], baseline: Sequence[BlockRecord]) -> Figure:
    """Health of all accounts that still require margin at the end: with the keeper, and without."""
    figure = _figure()
    for name, record, colour in (("no keeper", baseline[-1], RED), ("with the keeper", records[-1], BLUE)):
        values = [_clipped(state.health) for state in record.states if state.requirement]
        bins = {"start": HEALTH_LOW, "end": HEALTH_TOP + 0.1, "size": 0.1}
        figure.add_histogram(x=values, xbins=bins, name=name, marker_color=colour, opacity=0.65)
    figure.add_vline(1.0, line={"color": GREY, "width": 1.5, "dash": "dot"})
    figure.update_layout(barmode="overlay", bargap=0.04, hovermode="closest")
    figure.update_xaxes(title="health at the end (-1: that or less, 4: that or more)")
    figure.update_yaxes(title="accounts")
    return figure


def rescues(records: Sequence[BlockRecord]) -> Figure:
    """Each liquidation: the account's health in the block before, and after."""
    figure = _figure()
    pairs = before_and_after(records)
    for name, full, colour in (("partial", False, BLUE), ("full", True, ORANGE)):
        shown = [
            (liquidation, b, a)
            for liquidation, b, a in pairs
            if liquidation.full == full and liquidation.kind == "liquidate"
        ]
        figure.add_scatter(
            x=[max(HEALTH_LOW, before) for _, before, _ in shown],
            y=[max(HEALTH_LOW, min(after, CLOSED)) for _, _, after in shown],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 8, "opacity": 0.6, "line": {"width": 0}},
            text=[
                f"0x{liquidation.account.hex()[:8]} {liquidation.subject} ${liquidation.notional_usd:,.0f}"
                for liquidation, _, _ in shown
            ],
            hovertemplate="%{text}<br>%{x:.3f} → %{y:.3f}<extra></extra>",
        )
    note = {"text": f"target {TARGET:.2f}", "xanchor": "right", "yanchor": "bottom", "font": {"color": GREEN}}
    figure.add_hline(TARGET, line={"color": GREEN, "width": 1.5, "dash": "dot"}, annotation=note)
    figure.add_hline(1.0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_layout(hovermode="closest", height=420)
    figure.update_xaxes(title="health before", dtick=0.1, tickformat=".1f")
    figure.update_yaxes(title="health after", dtick=0.1, tickformat=".1f")
    return figure


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


def debts(records: Sequence[BlockRecord], baseline: Sequence[BlockRecord]) -> Figure:
    """Bad debt after each block, with and without the keeper."""
    figure = _figure()
    written_off = accumulate(record.bad_debt_usd for record in records)
    with_keeper = [gone + record.shortfall_usd for gone, record in zip(written_off, records, strict=True)]
    without = [record.shortfall_usd for record in baseline]
    figure.add_scatter(
        x=_aligned(records, baseline), y=without, name="no keeper", fill="tozeroy", line={"color": RED, "width": 2}
    )
    figure.add_scatter(
        x=_blocks(records), y=with_keeper, name="with the keeper", fill="tozeroy", line={"color": BLUE, "width": 2}
    )
    _by_block(figure, records)
    figure.update_yaxes(tickprefix="$", rangemode="tozero", title="bad debt")
    return figure


def money(records: Sequence[BlockRecord]) -> Figure:
    """Profit so far, and what gas cost in each block beside the base fee."""
    figure = _figure(2, (0.55, 0.45), second_axis=True)
    blocks = _blocks(records)
    earned = list(
        accumulate(
            sum(liquidation.reward_usd for liquidation in record.liquidations) - record.gas_usd for record in records
        )
    )
    figure.add_scatter(x=blocks, y=earned, name="profit after gas", line={"color": GREEN, "width": 2}, row=1, col=1)
    figure.add_bar(x=blocks, y=[r.gas_usd for r in records], name="gas", marker_color=PURPLE, row=2, col=1)
    fees = [record.base_fee / GWEI for record in records]
    line = {"color": ORANGE, "width": 2}
    figure.add_scatter(x=blocks, y=fees, name="base fee", line=line, row=2, col=1, secondary_y=True)
    _by_block(figure, records, 2)
    figure.update_yaxes(tickprefix="$", title="profit", row=1, col=1)
    figure.update_yaxes(tickprefix="$", title="gas a block", row=2, col=1, secondary_y=False)
    # A base fee of one to two gwei gets whole ticks, too.
    step = max(1, 5 * round(max(fees) / 25))
    figure.update_yaxes(
        title="gwei", range=[0, max(fees) * 1.1], dtick=step, showgrid=False, row=2, col=1, secondary_y=True
    )
    return figure
