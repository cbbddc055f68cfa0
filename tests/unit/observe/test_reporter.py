"""What the daemon says of accounts that it leaves alone: once for each account and reason, as long as that lasts."""

from pathlib import Path
from types import SimpleNamespace

from keeper.clock import SystemClock
from keeper.model.assessment import Assessment
from keeper.model.chain import BlockRef
from keeper.model.events import PLAN_REJECTED, Event
from keeper.model.plan import InFlight
from keeper.observe.reporter import Reporter
from keeper.observe.status import read_status
from keeper.plan.planner import unjudged
from keeper.redact import Redactor

ODD = b"\x01" * 20


def test_the_status_file_holds_no_secrets(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path, 60, lambda _: None, SystemClock(), Redactor(["alice"]))
    said = 'the journal cannot be read: role "alice" does not exist'
    reporter.started("curie", 1, live=True, signer=ODD)
    sending = SimpleNamespace(held=said, role=f"standby: {said}", in_flight=InFlight)
    reporter.state(BlockRef(1, b"", b"", 1), Assessment(), sending, [])  # type: ignore[arg-type]
    reporter.stopped(said)
    status = read_status(tmp_path)
    assert "alice" not in repr(status)
    assert [text.count("***") for text in (status.held, status.role, status.stopped)] == [1, 1, 1]


def test_an_account_that_cannot_be_judged_is_told_once_until_it_can_be(tmp_path: Path) -> None:
    told: list[Event] = []
    reporter = Reporter(tmp_path, 60, told.append, SystemClock(), Redactor())
    odd = Assessment(refused={ODD: ("unsupported", "an odd position")})
    for number, assessment in enumerate([odd, odd, Assessment(), odd]):
        reporter.rejected(unjudged(assessment), number)
        reporter.block(0, BlockRef(number, b"", b"", number), assessment, 0.0)
    found = [event for event in told if event.kind is PLAN_REJECTED]
    assert [event.block for event in found] == [0, 3]
    assert found[0].fields["reason"] == "unsupported"
    assert found[0].message.endswith(" skipped: an odd position")
