"""Alerts against real webhooks, good and bad."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from keeper.clock import SystemClock
from keeper.model.events import ALERT_FAILED, BREAKER_OPEN, NODE_DOWN, Event
from keeper.observe.alerts import AlertPolicy, Alerts
from keeper.redact import Redactor
from tests.support.anvil import free_port

OPEN = Event(BREAKER_OPEN, "sending is held", 9, {"breaker": "sending", "reason": "5 reverts in a row"})
TOKEN = "AAAABBBBCCCCDDDD"


class Hooks:
    """A server that keeps what it is sent; /hang never answers."""

    def __init__(self) -> None:
        self.bodies: asyncio.Queue[tuple[str, dict[str, object]]] = asyncio.Queue()
        self.let_go = asyncio.Event()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        if "hang" in request.path:
            await self.let_go.wait()
        await self.bodies.put((request.path, await request.json()))
        return web.Response(status=500 if "broken" in request.path else 200)


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    found = Hooks()
    app = web.Application()
    app.router.add_post("/{tail:.*}", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    found.let_go.set()
    await runner.cleanup()


def alerts(urls: list[str], told: list[Event], timeout_s: float = 5.0) -> Alerts:
    found = Alerts(urls, AlertPolicy(timeout_s=timeout_s), Redactor(), SystemClock(), told.append)
    found.start()
    return found


async def test_slack_discord_and_plain_receivers_each_get_their_body(hooks):
    paths = ["/services/T/B/X", "/api/webhooks/1/x", "/ops"]
    told: list[Event] = []
    found = alerts([hooks.url + path for path in paths], told)
    found(OPEN)
    got = dict([await hooks.bodies.get() for _ in paths])
    await found.close()
    assert list(got["/services/T/B/X"]) == ["text"]
    assert list(got["/api/webhooks/1/x"]) == ["content"]
    assert got["/ops"]["event"] == "breaker.open"
    assert told == []


async def test_closing_delivers_what_is_queued(hooks):
    found = alerts([hooks.url + "/ops"], [])
    for number in range(5):
        found(Event(NODE_DOWN, "down", None, {"endpoint": str(number)}))
    await found.close()
    assert hooks.bodies.qsize() == 5


async def test_an_unreachable_webhook_costs_one_log_line_without_its_token(hooks):
    told: list[Event] = []
    gone = f"http://127.0.0.1:{free_port()}/services/T/{TOKEN}"
    found = alerts([gone, hooks.url + "/ops"], told)
    found(OPEN)
    await found.close()
    [event] = told
    assert event.kind is ALERT_FAILED
    assert TOKEN not in str(event)
    assert event.fields["error"] == "ConnectError"
    assert hooks.bodies.qsize() == 1


async def test_a_webhook_that_fails_is_told(hooks):
    told: list[Event] = []
    found = alerts([hooks.url + "/broken"], told)
    found(OPEN)
    await found.close()
    assert [event.fields["error"] for event in told] == ["HTTP 500"]


async def test_a_hanging_webhook_delays_neither_the_others_nor_the_emitter_and_is_told(hooks):
    told: list[Event] = []
    found = alerts([hooks.url + "/hang", hooks.url + "/ops"], told, timeout_s=0.2)
    found(OPEN)
    path, _ = await hooks.bodies.get()
    assert path == "/ops"
    await found.close()
    assert [event.fields["error"] for event in told] == ["no answer in time"]


async def test_closing_does_not_wait_for_a_hanging_webhook(hooks):
    found = alerts([hooks.url + "/hang"], [], timeout_s=3600.0)
    found(OPEN)
    await found.close(timeout_s=0.1)
    assert hooks.bodies.empty()
