"""The plots of the demo's report. Colours hold on light and dark paper; the page sets text and grid."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from plotly.subplots import make_subplots

from keeper.demo.census import Act, Record
from keeper.demo.results import all_acts

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#3d85c6", "#dd8a1c", "#2a9d76", "#d5485c", "#8b6bc0", "#8a929e"
SERIES = (ORANGE, BLUE, PURPLE, GREEN, GREY)
QUANTILES = (0.05, 0.1, 0.25)
HEALTH_LOW, HEALTH_TOP = -1.0, 8.0  # beyond these, accounts are all the same to a reader
GWEI = 10**9
TARGET, CLOSED = 1.10, 1.6  # of a partial liquidation; where accounts without a position are drawn

Figure = Any


def _figure(rows: int = 1, heights: Sequence[float] | None = None, second_axis: bool = False) -> Figure:
    specs = [[{"secondary_y": second_axis and row == rows - 1}] for row in range(rows)]
    figure = make_subplots(rows, 1, shared_xaxes=True, vertical_spacing=0.07, row_heights=heights, specs=specs)
    figure.update_layout(
        height=300 * rows if rows == 1 else 500,
        margin={"l": 60, "r": 60 if second_axis else 16, "t": 34, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        hovermode="x unified",
        bargap=0.15,
    )
    return figure


def _shade(figure: Figure, records: Sequence[Record], rows: int = 1) -> None:
    """Mark the crash."""
    crash = [record.number for record in records if record.phase == "crash"]
    if not crash:
        return
    for row in range(1, rows + 1):
        figure.add_vrect(
            crash[0] - 0.5, crash[-1] + 0.5, fillcolor=RED, opacity=0.07, line_width=0, layer="below", row=row, col=1
        )


def _blocks(records: Sequence[Record]) -> list[int]:
    return [record.number for record in records]


def prices(records: Sequence[Record]) -> Figure:
    """Prices against the first block, with a mark where a market's positions were liquidated."""
    figure = _figure()
    first = records[0].prices
    for colour, label in zip(SERIES, first, strict=False):
        change = {record.number: record.prices[label] / first[label] - 1 for record in records}
        figure.add_scatter(x=list(change), y=list(change.values()), name=label, line={"color": colour, "width": 2})
        done: dict[int, list[Act]] = {}
        for act in all_acts(records):
            if act.kind == "liquidate" and act.subject == label:
                done.setdefault(act.block, []).append(act)
        figure.add_scatter(
            x=list(done),
            y=[change[block] for block in done],
            mode="markers",
            marker={
                "color": colour,
                "opacity": 0.55,
                "line": {"width": 0},
                "size": [_area(sum(act.notional_usd for act in acts)) for acts in done.values()],
            },
            text=[f"{len(acts)} liquidations, ${sum(a.notional_usd for a in acts):,.0f}" for acts in done.values()],
            hovertemplate="%{text}<extra>" + label + "</extra>",
            showlegend=False,
        )
    _shade(figure, records)
    figure.update_yaxes(tickformat="+.0%", title="since the first block")
    figure.update_xaxes(title="block")
    return figure


def _area(notional: float) -> float:
    """Diameter in pixels, so that the area of a mark grows with the dollars."""
    return min(30.0, 5 + math.sqrt(notional) / 60)


def quantile(values: Sequence[float], share: float) -> float:
    """Nearest rank, of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]


def health(records: Sequence[Record], baseline: Sequence[Record]) -> Figure:
    """Quantiles of the health of open accounts, and how many were unsafe, with and without the keeper."""
    figure = _figure(2, (0.6, 0.4))
    levels = []
    for record in records:
        values = sorted(state.health for state in record.states if state.requirement) or [HEALTH_TOP]
        levels.append([_clipped(quantile(values, share)) for share in QUANTILES])
    blocks = _blocks(records)
    for nth, (share, colour) in enumerate(zip(QUANTILES, (PURPLE, BLUE, GREEN), strict=True)):
        line = {"color": colour, "width": 2}
        figure.add_scatter(x=blocks, y=[level[nth] for level in levels], name=f"{share:.0%} are below", line=line)
    figure.add_hline(1.0, line={"color": RED, "width": 1.5, "dash": "dot"}, row=1, col=1)
    figure.add_bar(x=blocks, y=[record.unsafe for record in records], name="unsafe", marker_color=ORANGE, row=2, col=1)
    figure.add_scatter(
        x=_aligned(records, baseline),
        y=[record.unsafe for record in baseline],
        name="unsafe with no keeper",
        line={"color": RED, "width": 2, "dash": "dot"},
        row=2,
        col=1,
    )
    _shade(figure, records, 2)
    figure.update_yaxes(title="health", row=1, col=1)
    figure.update_yaxes(title="accounts", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title="block", row=2, col=1)
    return figure


def _clipped(health: float) -> float:
    return max(HEALTH_LOW, min(health, HEALTH_TOP))


def _aligned(records: Sequence[Record], baseline: Sequence[Record]) -> list[int]:
    """Block numbers of the run with the keeper for the same steps of the run without."""
    start = next((record.number for record in records if record.prices == baseline[0].prices), records[0].number)
    return [start + index for index in range(len(baseline))]


def ends(records: Sequence[Record], baseline: Sequence[Record]) -> Figure:
    """Health of all accounts that still require margin at the end: with the keeper, and without."""
    figure = _figure()
    for name, record, colour in (("no keeper", baseline[-1], RED), ("with the keeper", records[-1], BLUE)):
        values = [_clipped(state.health) for state in record.states if state.requirement]
        bins = {"start": HEALTH_LOW, "end": HEALTH_TOP + 0.25, "size": 0.25}
        figure.add_histogram(x=values, xbins=bins, name=name, marker_color=colour, opacity=0.65)
    figure.add_vline(1.0, line={"color": GREY, "width": 1.5, "dash": "dot"})
    figure.update_layout(barmode="overlay", bargap=0.04, hovermode="closest")
    figure.update_xaxes(title="health at the end (-1: that or less, 8: that or more)")
    figure.update_yaxes(title="accounts")
    return figure


def rescues(records: Sequence[Record]) -> Figure:
    """Each liquidation: the account's health in the block before, and after."""
    figure = _figure()
    pairs = before_and_after(records)
    for name, full, colour in (("partial", False, BLUE), ("full", True, ORANGE)):
        shown = [(act, b, a) for act, b, a in pairs if act.full == full and act.kind == "liquidate"]
        figure.add_scatter(
            x=[max(HEALTH_LOW, before) for _, before, _ in shown],
            y=[max(HEALTH_LOW, min(after, CLOSED)) for _, _, after in shown],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 8, "opacity": 0.6, "line": {"width": 0}},
            text=[f"0x{act.account.hex()[:8]} {act.subject} ${act.notional_usd:,.0f}" for act, _, _ in shown],
            hovertemplate="%{text}<br>%{x:.3f} → %{y:.3f}<extra></extra>",
        )
    figure.add_hline(TARGET, line={"color": GREEN, "width": 1.5, "dash": "dot"})
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title="health before")
    figure.update_yaxes(title="health after (1.6: closed, or higher)")
    return figure


def before_and_after(records: Sequence[Record]) -> list[tuple[Act, float, float]]:
    """Every act with its account's health in the block before it and in its own."""
    found: list[tuple[Act, float, float]] = []
    if not records:
        return found
    rows = {account: row for row, account in enumerate(records[0].accounts)}
    for before, after in pairwise(records):
        for act in after.acts:
            row = rows[act.account]
            found.append((act, before.states[row].health, after.states[row].health))
    return found


def debts(records: Sequence[Record], baseline: Sequence[Record]) -> Figure:
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
    _shade(figure, records)
    figure.update_yaxes(tickprefix="$", rangemode="tozero", title="bad debt")
    figure.update_xaxes(title="block")
    return figure


def money(records: Sequence[Record]) -> Figure:
    """Profit so far, and what gas cost in each block beside the base fee."""
    figure = _figure(2, (0.55, 0.45), second_axis=True)
    blocks = _blocks(records)
    earned = list(accumulate(sum(act.reward_usd for act in record.acts) - record.gas_usd for record in records))
    figure.add_scatter(x=blocks, y=earned, name="profit after gas", line={"color": GREEN, "width": 2}, row=1, col=1)
    figure.add_bar(x=blocks, y=[r.gas_usd for r in records], name="gas", marker_color=PURPLE, row=2, col=1)
    fees = [record.base_fee / GWEI for record in records]
    line = {"color": ORANGE, "width": 2}
    figure.add_scatter(x=blocks, y=fees, name="base fee", line=line, row=2, col=1, secondary_y=True)
    _shade(figure, records, 2)
    figure.update_yaxes(tickprefix="$", title="profit", row=1, col=1)
    figure.update_yaxes(tickprefix="$", title="gas a block", row=2, col=1, secondary_y=False)
    figure.update_yaxes(
        title="gwei", rangemode="tozero", tickformat=".1f", showgrid=False, row=2, col=1, secondary_y=True
    )
    figure.update_xaxes(title="block", row=2, col=1)
    return figure
