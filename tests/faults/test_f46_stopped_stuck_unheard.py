"""F46: SIGTERM in mid-send, an event loop that is blocked, a webhook that hangs: nothing is lost, and it is said."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from keeper.app import observers
from keeper.app.observers import observing
from keeper.model.events import BREAKER_OPEN, HEAD_NEW, Event
from keeper.observe.alerts import AlertPolicy
from keeper.observe.bus import Bus
from keeper.settings import Settings
from keeper.sim.arena import WAIT_S, Running, arena_node, running
from tests.integration.app.test_process import finish, intents, start
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.proxy import FaultProxy, delay
from tests.support.service import runner
from tests.support.weather import step_until

SEND = "eth_sendRawTransaction"
SLOW_S = 3.0


@asynccontextmanager
async def deaf() -> AsyncIterator[tuple[str, list[str]]]:
    """A webhook that takes everything and answers nothing; and what it took."""
    taken: list[str] = []

    async def hang(request: web.Request) -> web.Response:
        taken.append((await request.json())["event"])
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/{tail:.*}", hang)
    server = runner(app)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{server.addresses[0][1]}/hook", taken
    await server.cleanup()


async def test_f46_sigterm_in_mid_send_finishes_the_broadcast_notes_it_and_ends_with_0(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        async with FaultProxy(anvil.url) as proxy, deaf() as (hook, _):
            urls = {"KEEPER_RPC_URLS": proxy.url, "KEEPER_POLL_INTERVAL_S": "0.05", "KEEPER_ALERT_URLS": hook}
            process = await start(arena, "--live", **urls)
            for _ in range(60):
                await arena.step()
                await asyncio.sleep(0.1)  # the pace of the chain
                if len(proxy.sent) > 4:
                    break
            proxy.when(SEND).do(delay(SLOW_S))
            known = len(proxy.sent)
            await arena.step()
            async with asyncio.timeout(WAIT_S):
                while len(proxy.sent) == known:
                    await arena.step()
                    await asyncio.sleep(0.3)
            await asyncio.sleep(SLOW_S / 3)  # the rest of the broadcast arrives, without a reply yet
            at_the_signal = len(proxy.sent)
            process.send_signal(signal.SIGTERM)
            code, errors = await finish(process)
            assert (code, "Traceback" in errors) == (0, False), errors
            assert len(proxy.sent) == at_the_signal, "something was sent after the signal"
            on_the_wire = set(proxy.sent)
            noted = {attempt.raw for intent in intents(arena) for attempt in intent.attempts}
            assert on_the_wire <= noted
            assert not [intent for intent in intents(arena) if intent.state in ("reserved", "signed")]
            proxy.clear()
            async with running(arena.settings(proxy.url, live=True)) as again:
                await step_until(arena, again, lambda: not again.daemon.stages.execution.in_flight().count)
                await assert_invariants(arena, [proxy], [again])


async def test_f46_a_blocked_loop_is_told_by_the_watchdog_and_work_goes_on(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=20, blocks=24)
        log = tmp_path / "keeper.jsonl"
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url, live=True, stuck_s=0.4, log_json=str(log))
            async with observing(settings, terminal=False) as bus, heard(settings, bus) as keeper:
                await keeper.handled((await arena.step()).number)
                time.sleep(1.2)  # noqa: ASYNC251 - the fault itself
                told = [line for line in log_lines(log) if line["event"] == "keeper.stuck"]
                assert len(told) == 1
                assert told[0]["seconds"] >= settings.stuck_s
                assert ":" in told[0]["where"]
                await keeper.handled((await arena.step()).number)
                await assert_invariants(arena, [proxy], [keeper])


def log_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_f46_a_webhook_that_hangs_delays_no_liquidation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observers, "AlertPolicy", partial(AlertPolicy, timeout_s=WAIT_S))  # longer than the test
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=40, blocks=24)
        async with FaultProxy(anvil.url) as proxy, deaf() as (hook, taken):
            settings = arena.settings(proxy.url, live=True, alert_urls=(SecretStr(hook),), alert_repeat_s=0)
            async with observing(settings, terminal=False) as bus, heard(settings, bus) as keeper:
                for number in range(500):
                    bus(Event(BREAKER_OPEN, "an alert", number, {"breaker": "test", "reason": str(number)}))
                await step_until(arena, keeper, lambda: arena.played > 18)
                assert len(keeper.of(HEAD_NEW)) > 18
                assert taken.count("breaker.open") == 1, "the first alert hangs, and nothing waits for it"
                assert len(proxy.sent) > 2
                await assert_invariants(arena, [proxy], [keeper])


@asynccontextmanager
async def heard(settings: Settings, bus: Bus) -> AsyncIterator[Running]:
    """A keeper whose events go to the bus as well."""
    async with running(settings) as keeper:
        emit = keeper.emit

        def both(event: Event) -> None:
            emit(event)
            bus(event)

        keeper.emit = both  # type: ignore[method-assign]
        yield keeper
