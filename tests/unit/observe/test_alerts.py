"""What becomes an alert, and what it says."""

import json

from keeper.model.events import (
    ALERT_FAILED,
    BOOK_PARITY_FAILED,
    BREAKER_OPEN,
    HEAD_NEW,
    NODE_DOWN,
    TX_SUPERSEDED,
    Event,
)
from keeper.observe.alerts import AlertPolicy, Alerts, TokenBucket, body_for
from keeper.redact import Redactor
from tests.support.clock import SetClock

SECRET = "s3cretsecret"
URL = "http://127.0.0.1:1/hook"
PARITY = Event(BOOK_PARITY_FAILED, f"differs {SECRET}", 7, {"account": "0xa", "difference": SECRET})


def alerts(clock: SetClock, policy: AlertPolicy | None = None) -> Alerts:
    return Alerts([URL], policy or AlertPolicy(), Redactor([SECRET]), clock, lambda _: None)


def queued(found: Alerts) -> list[dict[str, object]]:
    [queue] = found._queues.values()
    return [queue.get_nowait() for _ in range(queue.qsize())]


async def test_only_what_is_severe_enough_and_never_its_own_failure_is_sent():
    found = alerts(SetClock())
    for kind in (HEAD_NEW, ALERT_FAILED, NODE_DOWN, BREAKER_OPEN):
        found(Event(kind, "x", None))
    assert [body["event"] for body in queued(found)] == ["node.down", "breaker.open"]


async def test_the_same_alert_is_held_back_and_counted():
    clock = SetClock()
    found = alerts(clock)
    for _ in range(5):
        found(PARITY)
    found(Event(BOOK_PARITY_FAILED, "another account", 7, {"account": "0xb"}))
    clock.time += 301
    found(PARITY)
    assert [body["suppressed"] for body in queued(found)] == [0, 0, 4]


async def test_a_storm_is_cut_at_the_rate_limit_and_goes_on_later():
    clock = SetClock()
    found = alerts(clock)
    for number in range(100):
        found(Event(TX_SUPERSEDED, "x", None, {"intent": number}))
    assert len(queued(found)) == 20
    clock.time += 60
    for number in range(100, 200):
        found(Event(TX_SUPERSEDED, "x", None, {"intent": number}))
    assert len(queued(found)) == 20


async def test_a_full_queue_drops_instead_of_waiting():
    found = alerts(SetClock(), AlertPolicy(queue_size=2))
    for number in range(10):
        found(Event(TX_SUPERSEDED, "x", None, {"intent": number}))
    assert len(queued(found)) == 2


async def test_no_secret_is_sent():
    found = alerts(SetClock())
    found(PARITY)
    assert SECRET not in json.dumps(queued(found))


def test_each_receiver_gets_its_own_body():
    slack = body_for("https://hooks.slack.com/services/T/B/X", PARITY, 0.0, 2)
    assert list(slack) == ["text"]
    assert slack["text"].startswith("[CRITICAL] book.parity_failed (block 7): ")
    assert slack["text"].endswith("(2 more like it were not sent)")
    discord = body_for("https://discord.com/api/webhooks/1/x", Event(NODE_DOWN, "y" * 5000), 0.0, 0)
    assert list(discord) == ["content"]
    assert len(discord["content"]) == 2000
    plain = body_for("https://ops.example/hook", PARITY, 0.0, 0)
    assert (plain["event"], plain["level"], plain["block"], plain["account"]) == (
        "book.parity_failed",
        "critical",
        7,
        "0xa",
    )


def test_the_bucket_refills_up_to_its_burst():
    clock = SetClock()
    bucket = TokenBucket(burst=2, per_minute=60, clock=clock)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    clock.time += 1
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.time += 3600
    assert [bucket.take() for _ in range(3)] == [True, True, False]
