"""What listens to events is set up from the settings, with every secret of theirs hidden."""

import json
from pathlib import Path

from keeper.app.observers import observing
from keeper.model.events import NODE_DOWN, Event
from keeper.redact import Redactor
from keeper.settings import Settings, secrets_of
from tests.support.clock import SetClock
from tests.support.log import logging_restored

__all__ = ["logging_restored"]

KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
TOKEN = "v3rysecrettoken42"


def test_tokens_of_urls_count_as_secrets_wherever_they_stand() -> None:
    settings = Settings(
        rpc_urls=f"https://node.example/v2/{TOKEN}", chain_id=1, protocol="x", deployment="d.json", private_key=KEY,
        alert_urls="https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXXXXXX",
    )  # fmt: skip
    redact = Redactor(secrets_of(settings))
    assert redact(f"project {TOKEN} and {KEY} and XXXXXXXXXXXXXXXX") == "project *** and *** and ***"


def test_user_names_and_passwords_of_every_url_are_secrets() -> None:
    settings = Settings(
        rpc_urls="https://alice:pw1@node.example", chain_id=1, protocol="x", deployment="d.json",
        relay_urls="https://relay.example/?token=pw2", alert_urls="https://bob@hooks.example",
        kms_key_id="x", kms_endpoint_url="https://kms.example/?password=pw%403",
        database_url="postgresql://carol:p%2Fw4@127.0.0.1/keeper?sslpassword=pw5",
    )  # fmt: skip
    redact = Redactor(secrets_of(settings))
    for word in ("alice", "pw1", "pw2", "bob", "pw%403", "pw@3", "carol", "p%2Fw4", "p/w4", "pw5"):
        assert redact(f'failed for "{word}" in keeper') == 'failed for "***" in keeper'


async def test_observing_wires_log_metrics_and_alerts_and_takes_them_down(tmp_path: Path) -> None:
    settings = Settings(
        rpc_urls="http://x", chain_id=1, protocol="x", deployment="d.json", log_json=str(tmp_path / "log")
    )
    async with observing(settings, SetClock(), terminal=False) as emit:
        emit(Event(NODE_DOWN, "gone", None, {"endpoint": "x"}))
    assert [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()] == ["node.down"]
