"""The page of events."""

from keeper.model.events import EVENTS, Level
from tools import events


def test_the_page_is_what_the_code_says():
    assert events.PAGE.read_text() == events.page()
    assert events.main(["--check"]) == 0


def test_every_event_has_its_section():
    for code in EVENTS:
        assert f"## `{code}`" in events.page()


def test_the_check_fails_when_they_differ(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(events, "PAGE", tmp_path / "docs" / "events.md")
    assert events.main(["--check"]) == 1
    assert "python tools/events.py" in capsys.readouterr().err
    assert events.main([]) == 0
    assert events.main(["--check"]) == 0


def test_operators_find_every_critical_and_error_event_on_their_page(capsys, monkeypatch, tmp_path):
    text = events.OPERATIONS.read_text()
    assert events.unexplained(text) == []
    assert events.unexplained(text.replace("### `price.held`", "")) == ["price.held"]
    assert events.unexplained(text + "\n### `no.such`\n") == ["no.such"]
    (tmp_path / "operations.md").write_text("")
    monkeypatch.setattr(events, "OPERATIONS", tmp_path / "operations.md")
    assert events.main(["--check"]) == 1
    assert "breaker.open" in capsys.readouterr().err


def test_every_event_says_what_to_do_when_it_is_an_error():
    for kind in EVENTS.values():
        if kind.level in (Level.ERROR, Level.CRITICAL):
            assert kind.action != "Nothing."
