"""Metrics over HTTP: gauges tell what is so at the scrape, not at the last block or heartbeat."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from pydantic import SecretStr

from keeper.cli.main import main
from keeper.errors import OperatorError
from keeper.model.assessment import Assessment, Nearest, Unsafe
from keeper.model.breaker import BreakerName
from keeper.model.chain import BlockRef
from keeper.model.events import BREAKER_CLOSED, HEAD_NEW, KEEPER_IDLE, LEASE_LOST, TX_MINED, Event
from keeper.model.health import Health
from keeper.observe.metrics import Metrics
from keeper.observe.state import KeeperState
from keeper.sim.arena import arena_node, running
from tests.support import harsh
from tests.support.anvil import free_port
from tests.support.clock import SetClock
from tests.support.postgres import Postgres
from tests.support.weather import environment_file, step_until

NO_HEARTBEAT = 3_600  # seconds between two


def scrape(metrics: Metrics) -> dict[str, float]:
    """What a Prometheus server reads, without the lines that have labels."""
    with urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as response:
        lines = response.read().decode().splitlines()
    return {
        name: float(value) for name, value in (line.split() for line in lines if line[0] != "#" and "{" not in line)
    }


@contextmanager
def served(state: KeeperState) -> Iterator[Metrics]:
    metrics = Metrics(state)
    metrics.serve(free_port())
    try:
        yield metrics
    finally:
        metrics.close()


def test_gauges_read_the_state_at_each_scrape():
    clock = SetClock()
    state = KeeperState(clock)
    with served(state) as metrics:
        clock.time += 5
        before = scrape(metrics)
        assert before["keeper_head_age_seconds"] == 5  # since the start, before any block
        assert before["keeper_head_number"] == before["keeper_held"] == before["keeper_ready"] == 0
        state.block = BlockRef(12, b"", b"", timestamp=int(clock.now()) - 3, base_fee=1000)
        unsafe = Unsafe(0, bytes(20), Health(0, 0, True, 0))
        state.assessment = Assessment(unsafe=(unsafe,) * 3, active=7, nearest=Nearest(bytes(20), 1.25))
        first = scrape(metrics)
        clock.time += 30
        second = scrape(metrics)
    assert first["keeper_head_number"] == 12
    assert first["keeper_base_fee_wei"] == 1000
    assert first["keeper_accounts"] == 7
    assert first["keeper_accounts_unsafe"] == 3
    assert first["keeper_nearest_health"] == 1.25
    assert second["keeper_head_age_seconds"] == first["keeper_head_age_seconds"] + 30


def test_counters_count_events_and_carry_no_addresses():
    with served(KeeperState()) as metrics:
        metrics(Event(HEAD_NEW, "b", 12, {"base_fee_wei": "1000", "unsafe": 3, "elapsed_ms": 4.5}))
        metrics(Event(TX_MINED, "m", 12, {"account": "0xsecret", "gas_used": 100, "profit_usd": 2.5}))
        found = scrape(metrics)
        with urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as response:
            text = response.read().decode()
    assert found["keeper_profit_usd"] == 2.5
    assert found["keeper_gas_used_total"] == 100
    assert found["keeper_block_ms_count"] == 1
    assert found["keeper_ready"] == 1
    assert 'keeper_events_total{event="head.new",level="debug"} 1.0' in text
    assert "0xsecret" not in text


def test_a_taken_port_names_its_setting():
    first, second = Metrics(), Metrics()
    first.serve(port := free_port())
    try:
        with pytest.raises(OperatorError, match="KEEPER_METRICS_PORT"):
            second.serve(port)
    finally:
        first.close()


async def test_a_running_keeper_shows_what_is_in_flight_and_what_holds_it_before_any_heartbeat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        settings = arena.settings(anvil.ws_url, live=True, idle_s=NO_HEARTBEAT, breaker_reset_blocks=2)
        async with running(settings) as keeper:
            with served(keeper.daemon.state) as metrics:
                await step_until(arena, keeper, lambda: keeper.execution.in_flight().count >= 2)
                sent = scrape(metrics)
                assert sent["keeper_in_flight"] == keeper.execution.in_flight().count >= 2
                assert sent["keeper_head_number"] == anvil.block_number()
                assert sent["keeper_held"] == 0
                assert scrape(metrics)["keeper_head_age_seconds"] > sent["keeper_head_age_seconds"]

                kill = ["kill", "--wait", "0", "--env-file", str(environment_file(arena, settings))]
                assert await asyncio.to_thread(main, kill) == 6
                await keeper.handled((await arena.quiet()).number)
                held = scrape(metrics)
                assert (held["keeper_held"], held["keeper_standby"]) == (1, 0)
                assert len(keeper.of(KEEPER_IDLE)) == 1

                keeper.execution.hold("a test", BreakerName.REVERTS)
                while not keeper.of(BREAKER_CLOSED):
                    await keeper.handled((await arena.quiet()).number)
                closed = scrape(metrics)
                assert closed["keeper_held"] == 1, "the kill switch is still on"
                assert closed["keeper_in_flight"] == 0


async def test_a_lost_lease_shows_before_the_next_block(tmp_path: Path) -> None:
    server = Postgres().start()
    try:
        with arena_node() as anvil:
            arena = harsh.arena(anvil, tmp_path, accounts=10, blocks=10)
            settings = arena.settings(
                anvil.ws_url, live=True, lease_s=4.0, database_url=SecretStr(server.database()), idle_s=NO_HEARTBEAT
            )
            async with running(settings) as keeper:
                with served(keeper.daemon.state) as metrics:
                    await keeper.handled((await arena.quiet()).number)
                    leading = scrape(metrics)
                    assert (leading["keeper_held"], leading["keeper_standby"]) == (0, 0)
                    blocks = len(keeper.of(HEAD_NEW))
                    server.halt()
                    await keeper.until(lambda: keeper.of(LEASE_LOST))
                    waiting = scrape(metrics)
                    assert (waiting["keeper_held"], waiting["keeper_standby"]) == (1, 1)
                    assert len(keeper.of(HEAD_NEW)) == blocks
                    server.resume()
    finally:
        server.stop()
