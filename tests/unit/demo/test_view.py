"""What a person sees while the demo runs."""

import io

from rich.console import Console

from keeper.demo.results import Inclusion, summarise
from keeper.demo.tables import dollars, histogram, overlooked, result_table, spark
from keeper.demo.view import LineView, LiveView
from keeper.model.events import BOOK_PARITY_FAILED, TX_REPLACED, Event
from tests.unit.demo.records import ACCOUNTS, BANKRUPT, CLOSED, HEALTHY, UNSAFE, liquidation, record


def test_a_line_of_bars_goes_from_lowest_to_highest() -> None:
    assert spark([1.0, 2.0, 3.0], 10) == "▁▅█"
    assert spark([5.0, 5.0], 10) == "▁▁"
    assert len(spark(list(range(100)), 24)) == 24


def test_the_line_of_bars_ends_with_the_newest_value() -> None:
    assert spark([*[0.0] * 99, 1.0], 24)[-1] == "█"


def test_every_account_is_in_exactly_one_range_of_health() -> None:
    counts = histogram(record(1, BANKRUPT, UNSAFE, CLOSED))
    assert sum(counts.values()) == 3
    assert (counts["bankrupt"], counts["0.5 - 1"], counts["10 and more"]) == (1, 1, 1)


def test_an_account_that_nothing_is_done_for_counts_as_missed() -> None:
    idle = [record(number, UNSAFE, UNSAFE, HEALTHY) for number in range(10)]
    helped = [*idle[:9], record(9, UNSAFE, UNSAFE, HEALTHY, liquidations=(liquidation(ACCOUNTS[1]),))]
    assert [overlooked(records) for records in (idle[:9], idle, helped)] == [0, 2, 1]


def test_dollars_carry_their_sign_in_front() -> None:
    assert [dollars(amount) for amount in (-1234.4, -0.4, 0, 1e6)] == ["-$1,234", "$0", "$0", "$1,000,000"]


def test_without_a_terminal_there_is_a_line_for_every_tenth_block() -> None:
    out = io.StringIO()
    with LineView(out) as view:
        records = []
        for number in range(1, 26):
            records.append(record(number, HEALTHY, UNSAFE, CLOSED))
            view.block(records, 25, 100.0, 0)
    assert [line.split("  ")[0] for line in out.getvalue().splitlines()] == [
        "block 10 of 25",
        "block 20 of 25",
        "block 25 of 25",
    ]


def test_without_a_terminal_only_grave_events_are_shown() -> None:
    out = io.StringIO()
    view = LineView(out)
    view.event(Event(TX_REPLACED, "replaced"))
    view.event(Event(BOOK_PARITY_FAILED, "differs"))
    assert out.getvalue() == "critical: differs\n"


def test_the_document_has_standard_output_for_itself() -> None:
    out = io.StringIO()
    LineView(out, quiet=True).finish(summarise(1, "", [record(1, HEALTHY, HEALTHY, HEALTHY)], [record(1)], []))
    assert out.getvalue() == ""


def test_the_board_shows_prices_accounts_and_the_last_events() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=50)
    records = [
        record(1, HEALTHY, UNSAFE, BANKRUPT),
        record(2, HEALTHY, HEALTHY, BANKRUPT, liquidations=(liquidation(ACCOUNTS[1]),), mined=1),
    ]
    with LiveView(console) as view:
        view.progress("accounts opened", 3, 3)
        view.event(Event(TX_REPLACED, "nonce 7 was replaced", 2))
        view.block(records, 60, 5_000.0, 4)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for text in (
        "block 2 of 60",
        "ETH",
        "1 of 2 accounts that were unsafe",
        "$5,000 without a keeper",
        "nonce 7 was replaced",
    ):
        assert text in shown


def test_the_board_prints_brackets_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=120)
    LiveView(console).say("pip install 'liquidation-keeper[aws]'")
    assert console.file.getvalue() == "pip install 'liquidation-keeper[aws]'\n"  # type: ignore[attr-defined]


def test_the_board_shows_that_nothing_was_mined() -> None:
    result = summarise(1, "", [record(1, HEALTHY, HEALTHY, HEALTHY)], [record(1)], [])
    assert result.blocks_to_inclusion == Inclusion(None, None)
    console = Console(file=io.StringIO(), width=100)
    console.print(result_table(result))
    assert "blocks to inclusion" in console.file.getvalue()  # type: ignore[attr-defined]
