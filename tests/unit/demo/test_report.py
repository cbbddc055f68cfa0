"""The page that the demo leaves."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from keeper.demo.charts import before_and_after
from keeper.demo.report import NO_PLOTLY, report_if_possible, write_report
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


def test_the_report_needs_no_other_file(page: str) -> None:
    tags = re.findall(r"<(?:script|link|img)[^>]*>", page)
    assert tags
    assert not [tag for tag in tags if "src=" in tag or "href=" in tag]


def test_the_report_has_six_plots(page: str) -> None:
    assert page.count('class="plotly-graph-div"') == 6


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
    assert (tmp_path / "report.html").stat().st_size > 10**6


def test_the_line_after_the_demo_says_where_the_report_is(tmp_path: Path) -> None:
    records = [record(1, HEALTHY, HEALTHY, HEALTHY)]
    path = tmp_path / "report.html"
    assert report_if_possible(path, summarise(1, "", records, records, []), records, records) == f"report: {path}"
    assert path.is_file()


def test_without_plotly_the_demo_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    records = [record(1, HEALTHY, HEALTHY, HEALTHY)]
    earlier = tmp_path / "report.html"
    earlier.write_text("of another demo")
    said = report_if_possible(earlier, summarise(1, "", records, records, []), records, records)
    assert said == NO_PLOTLY
    assert "pip install 'liquidation-keeper[report]'" in said
    assert not earlier.exists()


def test_the_demo_is_there_without_plotly() -> None:
    code = "import sys; sys.modules['plotly'] = None; import keeper.demo.run"
    subprocess.run([sys.executable, "-c", code], check=True)
