"""A command that is interrupted ends with 130, prints nothing on standard output and one line on standard error."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from keeper.sim.arena import WAIT_S, arena_node, running
from keeper.sim.markets.curie import deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node
from keeper.sim.node.options import dev_key
from tests.support import harsh
from tests.support.proxy import FaultProxy, hang
from tests.support.weather import environment_file, step_until

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
NAMES = [name.name for name in SIGNALS]
KEY = "0x" + dev_key(3).hex()
TREASURY = "0x" + "7e" * 20


@pytest.fixture
async def started() -> AsyncIterator[list[Process]]:
    """The processes of a test, which end with it."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def start(started: list[Process], directory: Path, *arguments: str, **settings: object) -> Process:
    """The program with these settings alone."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "keeper", *arguments),
        env=inherited | {name: str(value) for name, value in settings.items()},
        cwd=directory,
        stdout=PIPE,
        stderr=PIPE,
    )
    started.append(process)
    return process


async def interrupted(process: Process, name: signal.Signals) -> tuple[int | None, str, list[str]]:
    """Exit code, standard output and the lines of standard error after a signal."""
    process.send_signal(name)
    async with asyncio.timeout(WAIT_S):
        out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode().splitlines()


def settings_of(directory: Path, url: str) -> dict[str, object]:
    """A deployment file, and settings that name it."""
    contracts = {"MarginEngine": "0x0165878A594ca255338adfa4d48449f69242Eb8F"}
    document = {"protocol": "margin_engine", "chain_id": 31337, "start_block": 0, "contracts": contracts}
    (directory / "deployment.json").write_text(json.dumps(document))
    return {
        "KEEPER_RPC_URLS": url,
        "KEEPER_CHAIN_ID": 31337,
        "KEEPER_PROTOCOL": "margin_engine",
        "KEEPER_DEPLOYMENT": directory / "deployment.json",
        "KEEPER_DATA_DIR": directory / "data",
        "KEEPER_REQUEST_TIMEOUT_S": 60,
    }


async def until(condition: Callable[[], bool]) -> None:
    """Fails when it does not come true."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
async def silent() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """The port of a server that takes connections and never answers, and an event that tells of the first one."""
    asked, ends = asyncio.Event(), asyncio.Event()

    async def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await ends.wait()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked
        ends.set()


@pytest.mark.parametrize("name", SIGNALS, ids=NAMES)
@pytest.mark.parametrize("command", ["scan --json", "plan --json", "doctor --json", "executor show --json"])
async def test_while_a_node_does_not_answer(
    tmp_path: Path, started: list[Process], silent: tuple[int, asyncio.Event], command: str, name: signal.Signals
) -> None:
    port, asked = silent
    scheme = "ws" if name is signal.SIGTERM else "http"
    process = await start(started, tmp_path, *command.split(), **settings_of(tmp_path, f"{scheme}://127.0.0.1:{port}"))
    async with asyncio.timeout(WAIT_S):
        await asked.wait()
    assert await interrupted(process, name) == (130, "", ["keeper: interrupted"])


@pytest.mark.parametrize("command", ["txs --json", "pnl --json", "resume", "kill"])
async def test_while_the_journals_database_does_not_answer(
    tmp_path: Path, started: list[Process], silent: tuple[int, asyncio.Event], command: str
) -> None:
    port, asked = silent
    settings = settings_of(tmp_path, "http://127.0.0.1:9") | {
        "KEEPER_DATABASE_URL": f"postgresql://keeper@127.0.0.1:{port}/keeper",
        "KEEPER_PRIVATE_KEY": KEY,
    }
    process = await start(started, tmp_path, *command.split(), **settings)
    async with asyncio.timeout(WAIT_S):
        await asked.wait()
    assert await interrupted(process, signal.SIGINT) == (130, "", ["keeper: interrupted"])


@pytest.mark.parametrize("method", ["eth_call", "eth_getLogs"])
async def test_in_the_middle_of_reading_a_real_market(tmp_path: Path, started: list[Process], method: str) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=10, blocks=30)
        async with FaultProxy(anvil.url) as proxy:
            proxy.when(method).do(hang())
            settings = settings_of(tmp_path, proxy.url) | {"KEEPER_DEPLOYMENT": arena.files.deployment}
            process = await start(started, tmp_path, "scan", "--json", **settings)
            await until(lambda: bool(proxy.calls(method)))
            assert await interrupted(process, signal.SIGTERM) == (130, "", ["keeper: interrupted"])


async def test_what_cannot_be_cancelled_is_left_after_a_while(
    tmp_path: Path, started: list[Process], silent: tuple[int, asyncio.Event]
) -> None:
    port, asked = silent
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=10, blocks=30)
        settings = settings_of(tmp_path, anvil.url) | {
            "KEEPER_DEPLOYMENT": arena.files.deployment,
            "KEEPER_DATABASE_URL": f"postgresql://keeper@127.0.0.1:{port}/keeper",
        }
        process = await start(started, tmp_path, "doctor", "--json", **settings)
        async with asyncio.timeout(WAIT_S):
            await asked.wait()
        assert await interrupted(process, signal.SIGTERM) == (130, "", ["keeper: interrupted"])


async def test_a_transaction_that_was_sent_is_named(tmp_path: Path, started: list[Process]) -> None:
    with Anvil(gas_limit=60_000_000) as anvil:
        market = await asyncio.to_thread(deploy, Node.at(anvil.url))
        anvil.set_automine(False)
        settings = settings_of(tmp_path, anvil.url)
        market.write_deployment(tmp_path / "deployment.json")
        settings |= {"KEEPER_PROTOCOL": "curie", "KEEPER_PRIVATE_KEY": KEY}
        factory = "0x" + market.exits.uniswap.factory.hex()
        command = ["executor", "deploy", "--live", "--factory", factory, "--treasury", TREASURY]
        process = await start(started, tmp_path, *command, **settings)
        assert process.stdout
        async with asyncio.timeout(WAIT_S):
            sent = (await process.stdout.readline()).decode().removeprefix("sent: ").strip()
        await until(lambda: anvil.rpc("eth_getTransactionByHash", sent) is not None)
        code, _, [line] = await interrupted(process, signal.SIGTERM)
        assert code == 130
        assert line == f"keeper: interrupted: {sent} may still be mined: look it up before you run the command again"


async def test_the_kill_switch_stays_on_and_what_is_on_its_way_is_counted(
    tmp_path: Path, started: list[Process]
) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=60, blocks=30)
        settings = arena.settings(anvil.url, live=True)
        async with running(settings) as keeper:
            await step_until(arena, keeper, lambda: keeper.daemon.stages.execution.in_flight().count >= 2)
            count = keeper.daemon.stages.execution.in_flight().count
        process = await start(started, tmp_path, "kill", "--env-file", str(environment_file(arena, settings)))
        assert process.stdout
        async with asyncio.timeout(WAIT_S):
            assert b"the kill switch is on" in await process.stdout.readline()
        code, out, lines = await interrupted(process, signal.SIGINT)
        assert (code, out) == (130, "")
        state = f"the kill switch is on, {count} transactions are in flight"
        assert lines[-1] == f"keeper: interrupted: {state}; run `keeper kill` again to cancel them"
