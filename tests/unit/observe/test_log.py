"""The log: its lines, and what never stands in them."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from keeper.errors import OperatorError
from keeper.model.events import HEAD_NEW, LOG_MESSAGE, NODE_DOWN, TX_SENT, Event
from keeper.observe.log import EventLog, json_line
from tests.support.clock import SetClock
from tests.support.log import logging_restored

__all__ = ["logging_restored"]

NOW = 1_763_650_000.25
KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
TOKEN = "v3rysecrettoken42"


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_holds_exactly_the_common_keys_and_the_events_fields(tmp_path):
    path = tmp_path / "logs" / "keeper.jsonl"
    log = EventLog(None, str(path), [], SetClock(NOW))
    log(Event(HEAD_NEW, "block 7", 7, {"hash": "0xab", "unsafe": 2}))
    log.close()
    assert lines(path) == [
        {
            "ts": "2025-11-20T14:46:40.250+00:00",
            "level": "debug",
            "event": "head.new",
            "block": 7,
            "message": "block 7",
            "hash": "0xab",
            "unsafe": 2,
        }
    ]
    assert list(lines(path)[0])[:5] == ["ts", "level", "event", "block", "message"]


@given(message=st.text(), value=st.text())
def test_whatever_is_said_stays_one_line_of_json(message, value):
    line = json_line(Event(TX_SENT, message, None, {"hash": value, "event": "forged"}), "info", message, 0.0)
    assert "\n" not in line
    assert json.loads(line) == {
        "ts": "1970-01-01T00:00:00.000+00:00", "level": "info", "event": "tx.sent", "block": None,
        "message": message, "hash": value,
    }  # fmt: skip


def test_braces_and_tags_in_a_message_are_just_text(tmp_path):
    log = EventLog(None, str(tmp_path / "log"), [], SetClock(NOW))
    log(Event(NODE_DOWN, "{0} {name} <red>%s</red>", None))
    log.close()
    assert lines(tmp_path / "log")[0]["message"] == "{0} {name} <red>%s</red>"


def test_secrets_and_url_tokens_are_hidden_in_messages_and_fields(tmp_path):
    log = EventLog(None, str(tmp_path / "log"), ["0x" + KEY, 'pass"word'], SetClock(NOW))
    url = f"https://user:{TOKEN}@node.example:8545/v2/{TOKEN}?k={TOKEN}"
    log(Event(NODE_DOWN, f"cannot reach {url} with {KEY.upper()}", None, {"endpoint": url, "error": 'is pass"word'}))
    log.close()
    text = (tmp_path / "log").read_text()
    for secret in (KEY, KEY.upper(), TOKEN, "user", 'pass\\"word'):
        assert secret not in text
    assert lines(tmp_path / "log")[0]["endpoint"] == "https://***@node.example:8545/***"


def test_a_password_that_is_a_word_of_the_log_leaves_codes_and_names_alone(tmp_path: Path) -> None:
    log = EventLog(None, str(tmp_path / "log"), ["node", "event", "down"], SetClock(NOW))
    log(Event(NODE_DOWN, "the node is down", 1, {"endpoint": "node"}))
    log.close()
    [line] = lines(tmp_path / "log")
    assert (line["event"], line["message"], line["endpoint"]) == ("node.down", "the *** is ***", "***")


def test_people_see_no_secrets_either(tmp_path, capfd):
    log = EventLog("info", None, [KEY], SetClock(NOW))
    log(Event(NODE_DOWN, f"key {KEY} at wss://h/{TOKEN}", None))
    log(Event(HEAD_NEW, "too quiet for the terminal", 1))
    log.close()
    shown = capfd.readouterr().err
    assert "node.down" in shown
    assert KEY not in shown
    assert TOKEN not in shown
    assert "too quiet" not in shown


def test_messages_of_libraries_arrive_as_log_message(tmp_path):
    log = EventLog(None, str(tmp_path / "log"), [TOKEN], SetClock(NOW))
    logging.getLogger("httpx").warning("slow %s", TOKEN)
    log.close()
    [line] = lines(tmp_path / "log")
    assert (line["event"], line["level"], line["logger"]) == (LOG_MESSAGE.code, "warning", "httpx")
    assert line["message"] == "slow ***"


def test_a_log_that_cannot_be_written_is_an_operators_error(tmp_path):
    with pytest.raises(OperatorError, match="KEEPER_LOG_JSON: cannot write"):
        EventLog(None, str(tmp_path), [], SetClock(NOW))


def test_standard_error_takes_the_json_log(tmp_path, capfd):
    log = EventLog("info", "-", [], SetClock(NOW))
    log(Event(HEAD_NEW, "a block", 1))
    log.close()
    assert json.loads(capfd.readouterr().err)["event"] == "head.new"
