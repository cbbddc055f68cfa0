"""Writes `report.html`: one self-contained page, for light and dark screens."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from keeper.abi import checksum
from keeper.demo import charts
from keeper.demo.results import DemoResult
from keeper.demo.svg import Plot
from keeper.demo.tables import dollars
from keeper.sim.records import BlockRecord

_STYLE = """
:root { --paper: #fdfdfc; --card: #ffffff; --ink: #1c2430; --soft: #5b6675; --line: #e2e5ea; --good: #1f7d5c;
  --bad: #b9364a; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --card: #1a2029; --ink: #e6e9ee; --soft: #9aa5b4;
  --line: #2c3541; --good: #4fc79c; --bad: #f0788a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 48px 24px 96px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 12px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 0 0 4px; }
p { margin: 0 0 12px; max-width: 72ch; }
.soft { color: var(--soft); }
.lead { font-size: 18px; }
.figures { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 12px; margin: 28px 0; }
.figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.figure { min-width: 0; }
.figure b { display: block; white-space: nowrap; font-size: 22px;
  line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; }
.figure span { color: var(--soft); font-size: 13.5px; }
@media (max-width: 900px) { .figures { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
.good b { color: var(--good); } .bad b { color: var(--bad); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px 20px 8px;
  margin: 20px 0; }
section p { font-size: 14.5px; color: var(--soft); margin-bottom: 4px; }
.scroll { max-height: 540px; overflow: auto; margin: 12px -20px 0; border-top: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { position: sticky; top: 0; background: var(--card); text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: 6px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { padding-left: 20px; }
.n { text-align: right; }
.plot { display: block; width: 100%; height: auto; margin: 4px 0 8px; }
.plot text { font-size: 13px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.plot .grid { stroke: var(--line); }
code { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
"""


def write_report(
    path: Path, result: DemoResult, records: Sequence[BlockRecord], baseline: Sequence[BlockRecord], about: str = ""
) -> None:
    """One HTML file with the plots as SVG, without scripts. `about`: a sentence about this keeper."""
    sections = "".join(
        f"<section><h2>{title}</h2><p>{text}</p>{''.join(plot.svg() for plot in plots)}</section>"
        for title, text, plots in _plots(records, baseline)
    )
    path.write_text(
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Keeper demo, seed {result.seed}</title><style>{_STYLE}</style></head><body><main>"
        f"{_head(result, records, about)}{sections}{_table(records)}</main></body></html>",
        encoding="utf-8",
    )


def _plots(records: Sequence[BlockRecord], baseline: Sequence[BlockRecord]) -> list[tuple[str, str, list[Plot]]]:
    return [
        (
            "Prices and liquidations",
            "The shaded blocks are the crash, in all plots; in the darker ones, other people's transactions filled the "
            "block. A dot is a block in which positions of that market were liquidated; its area grows with the "
            "dollars closed.",
            charts.prices(records),
        ),
        (
            "Health over time",
            "Health is equity over maintenance requirement, as the contract computes it; below the dotted line an "
            "account can be liquidated. The lines are quantiles over the accounts that were ever unsafe and still have "
            "positions; the red line is the median of those that become unsafe without a keeper.",
            charts.health(records, baseline),
        ),
        (
            "Bad debt",
            "What accounts owe beyond what they own: debt written off so far, plus negative equity of open accounts.",
            charts.debts(records, baseline),
        ),
        (
            "Each liquidation, before and after",
            "Health in the block before and in the block that mined it. A partial liquidation is sized to end on the "
            f"target, {charts.TARGET:.2f}; it ends elsewhere where prices moved, or where the protocol sets the "
            f"size. At {charts.CLOSED}: closed, or higher. At -1: that or less.",
            charts.rescues(records),
        ),
        (
            "Where accounts ended",
            "Health of the accounts that still hold positions, after the same prices with and without the keeper.",
            charts.ends(records, baseline),
        ),
        (
            "Profit and gas",
            "Rewards, plus the discount on seized collateral at its block's price, minus gas. The keeper keeps that "
            "collateral: a later fall of its price is not counted. Below: the cost of gas in each block, and the base "
            "fee, which rises after full blocks.",
            charts.money(records),
        ),
    ]


def _head(result: DemoResult, records: Sequence[BlockRecord], about: str) -> str:
    lowest = ", ".join(
        f"{label} {min(record.prices[label] for record in records) / first - 1:+.0%}"
        for label, first in records[0].prices.items()
    )
    waits = result.blocks_to_inclusion
    speed = "-" if waits.p50 is None else f"{waits.p50:.0f} / {waits.p99:.0f}"
    figures = (
        (
            "bad" if result.missed else "good",
            f"{result.rescued} of {result.liquidatable}",
            "unsafe accounts rescued without a written-off debt",
        ),
        ("", f"{result.still_open} / {result.wiped_out}", "of them still open and safe / without a position"),
        ("bad" if result.missed else "good", f"{result.missed}", "missed: liquidatable at the end"),
        ("good", dollars(result.bad_debt_without_keeper_usd - result.bad_debt_usd), "bad debt prevented"),
        ("", dollars(result.bad_debt_usd), "bad debt left"),
        ("", f"{result.partial} / {result.full}", "partial / full liquidations"),
        ("", dollars(result.profit_usd), "profit after gas"),
        ("", f"{result.gas_wei / 10**18:.3f} ETH", "gas"),
        ("", speed, "blocks to inclusion, p50 / p99"),
        ("", f"{result.replaced}", "transactions replaced at a higher fee"),
    )
    tiles = "".join(
        f"<div class='figure {kind}'><b>{value}</b><span>{name}</span></div>" for kind, value, name in figures
    )
    return (
        "<h1>A market crash with and without the keeper</h1>"
        f"<p class='lead'>{result.accounts} accounts, {result.blocks} blocks, lowest prices: {escape(lowest)}. "
        f"The same path without a keeper ends in {dollars(result.bad_debt_without_keeper_usd)} of bad debt; "
        f"with it in {dollars(result.bad_debt_usd)}.</p>"
        f"<p class='soft'>Seed {result.seed}. {result.sent} transactions sent, {result.replaced} of them replacements; "
        f"{result.mined} mined, {result.reverted} reverted. {result.seized} seizures of collateral. "
        f"{escape(about)}</p>"
        f"<div class='figures'>{tiles}</div>"
    )


def _table(records: Sequence[BlockRecord]) -> str:
    rows = "".join(
        f"<tr><td>{liquidation.block}</td><td><code>{checksum(liquidation.account)[:10]}…{liquidation.account.hex()[-4:]}</code></td>"
        f"<td>{_deed(liquidation.kind, liquidation.full)}</td><td>{escape(liquidation.subject)}</td>"
        f"<td class='n'>{dollars(liquidation.notional_usd)}</td><td class='n'>{_ratio(before)}</td>"
        f"<td class='n'>{_ratio(after)}</td><td class='n'>{liquidation.reward_usd:,.2f}</td>"
        f"<td class='n'>{liquidation.gas_usd:,.2f}</td></tr>"
        for liquidation, before, after in charts.before_and_after(records)
    )
    heads = "<th>Block</th><th>Account</th><th>What</th><th>Of</th>" + "".join(
        f"<th class='n'>{name}</th>" for name in ("Notional", "Health before", "after", "Reward $", "Gas $")
    )
    return (
        "<section><h2>Every liquidation and seizure</h2>"
        "<p>In the order of the chain; rewards and gas at the block's prices.</p>"
        f"<div class='scroll'><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _deed(kind: str, full: bool) -> str:
    if kind == "seize":
        return "seizure"
    return "full" if full else "partial"


def _ratio(health: float) -> str:
    if health in (float("inf"), float("-inf")):
        return "closed" if health > 0 else "owes"
    return f"{health:.3f}"
