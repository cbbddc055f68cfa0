"""The page that the demo leaves."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from keeper.demo.charts import before_and_after
from keeper.demo.report import write_report
from keeper.demo.results import summarise
from tests.unit.demo.records import ACCOUNTS, BANKRUPT, CLOSED, HEALTHY, UNSAFE, liquidation, record


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    records = [
        record(1, HEALTHY, UNSAFE, BANKRUPT),
        record(
            2,
            HEALTHY,
            HEALTHY,
            CLOSED,
            liquidations=(liquidation(ACCOUNTS[1]), liquidation(ACCOUNTS[2], full=True)),
            bad_debt_usd=50.0,
        ),
    ]
    baseline = [record(1, HEALTHY, UNSAFE, BANKRUPT), record(2, UNSAFE, BANKRUPT, BANKRUPT)]
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, summarise(7, "http://there", records, baseline, []), records, baseline)
    return path.read_text(encoding="utf-8")


def test_the_report_needs_no_other_file_and_no_script(page: str) -> None:
    assert "<script" not in page
    assert not re.findall(r"<[a-z]+[^>]*(?:src|href)=", page)


def test_the_report_has_six_sections_of_plots_that_are_well_formed(page: str) -> None:
    plots = re.findall(r"<svg class='plot'.*?</svg>.*?</svg>", page)
    assert len(plots) == 8
    for plot in plots:
        ElementTree.fromstring(plot)


def test_the_report_says_what_was_prevented(page: str) -> None:
    assert "$100" in page
    assert "$50" in page
    assert "2 of 2" in page


def test_the_report_lists_every_liquidation(page: str) -> None:
    body = page[page.index("<tbody>") : page.index("</tbody>")]
    assert body.count("<tr>") == 2
    assert "partial" in body
    assert "full" in body


def test_the_report_is_painted_for_light_and_dark_screens(page: str) -> None:
    assert "prefers-color-scheme: dark" in page


def test_health_before_is_that_of_the_block_before() -> None:
    records = [
        record(1, HEALTHY, UNSAFE, UNSAFE),
        record(2, HEALTHY, HEALTHY, UNSAFE, liquidations=(liquidation(ACCOUNTS[1]),)),
    ]
    [(_, before, after)] = before_and_after(records)
    assert (before, after) == (0.9, 2.0)


def test_a_demo_without_a_liquidation_still_has_a_report(tmp_path: Path) -> None:
    records = [record(1, HEALTHY, HEALTHY, HEALTHY), record(2, CLOSED, CLOSED, CLOSED)]
    write_report(tmp_path / "report.html", summarise(1, "", records, records, []), records, records)
    assert "<tbody></tbody>" in (tmp_path / "report.html").read_text(encoding="utf-8")
