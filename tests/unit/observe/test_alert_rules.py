"""The example rules name what there is: metrics, events and settings, and a standby raises no alarm by itself."""

import re
from pathlib import Path

from prometheus_client import generate_latest

from keeper.model import events
from keeper.model.events import EventKind
from keeper.observe.metrics import Metrics

EXAMPLES = Path(__file__).parents[3] / "examples"
PROMETHEUS = (EXAMPLES / "alerts.prometheus.yml").read_text()
RULES = PROMETHEUS + (EXAMPLES / "alerts.loki.yml").read_text()


def test_every_metric_of_the_rules_is_exported() -> None:
    exported = set(re.findall(r"^# TYPE (\w+)", generate_latest(Metrics().registry).decode(), re.MULTILINE))
    named = set(re.findall(r"\bkeeper_\w+", PROMETHEUS))
    assert {name.removesuffix("_bucket") for name in named} <= exported
    assert {"keeper_held", "keeper_standby", "keeper_events_total"} <= named


def test_every_event_of_the_rules_is_in_the_catalogue() -> None:
    codes = {kind.code for kind in vars(events).values() if isinstance(kind, EventKind)}
    named = {code for group in re.findall(r'event=~?"([^"]+)"', RULES) for code in group.split("|")}
    assert named
    assert named <= codes


def test_a_standby_is_not_held_by_what_an_operator_has_to_mend_and_two_without_a_leader_are() -> None:
    rules = dict(re.findall(r"- alert: (\w+)\n +expr: (.*)", PROMETHEUS))
    assert rules["KeeperHeld"] == "keeper_held == 1 unless keeper_standby == 1"
    assert rules["KeeperWithoutLeader"] == "min by (job) (keeper_standby) == 1"
