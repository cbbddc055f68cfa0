"""F20: two keepers with one key. The second is refused; one that was frozen and succeeded signs nothing any more."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from pydantic import SecretStr

from keeper.sim.arena import WAIT_S, arena_node
from keeper.sim.keeper import CHAIN_ID
from tests.support import harsh
from tests.support.proxy import FaultProxy
from tests.support.succession import WORST_BLOCK, assert_sound, pair


async def start(arena: harsh.EngineArena, url: str, data_dir: Path, **changes: str) -> Process:
    """`keeper run --live` in a data directory of its own."""
    settings = {
        "KEEPER_RPC_URLS": url,
        "KEEPER_CHAIN_ID": str(CHAIN_ID),
        "KEEPER_PROTOCOL": "margin_engine",
        "KEEPER_DEPLOYMENT": str(arena.files.deployment),
        "KEEPER_PRIVATE_KEY_FILE": str(arena.files.key),
        "KEEPER_DATA_DIR": str(data_dir),
        "KEEPER_POLL_INTERVAL_S": "0.05",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "keeper", "run", "--live",
        env=inherited | settings | changes, cwd=arena.files.directory, stdout=DEVNULL, stderr=PIPE,
    )  # fmt: skip


async def refused(process: Process) -> str:
    """The one line with which a second keeper ends."""
    async with asyncio.timeout(WAIT_S):
        _, errors = await process.communicate()
    assert process.returncode == 3, errors
    [line] = errors.decode().strip().splitlines()
    return line


async def until_something_is_sent(arena: harsh.EngineArena, proxy: FaultProxy) -> None:
    async with asyncio.timeout(WAIT_S):
        while not proxy.sent:
            await arena.quiet()
            await asyncio.sleep(0.1)  # the pace of the chain


async def test_a_second_keeper_with_the_key_is_refused_whatever_its_data_directory_and_journal(
    tmp_path: Path, database: str
) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path)
        for _ in range(WORST_BLOCK):
            await arena.step()
        async with FaultProxy(anvil.url) as proxy:
            first = await start(arena, proxy.url, tmp_path / "one")
            try:
                await until_something_is_sent(arena, proxy)
                second, url = tmp_path / "two", proxy.url_of("second")
                assert "process" in await refused(await start(arena, url, second))
                journal = f"sqlite:///{tmp_path / 'one' / 'keeper.db'}"
                assert "another keeper" in await refused(await start(arena, url, second, KEEPER_DATABASE_URL=journal))
                assert "another keeper" in await refused(await start(arena, url, second, KEEPER_DATABASE_URL=database))
                same = await refused(await start(arena, url, tmp_path / "one", KEEPER_STANDBY="true"))
                assert "data directory" in same
                assert not any(call.who == "second" for call in proxy.calls("eth_sendRawTransaction"))
            finally:
                first.terminate()
                await first.communicate()
            assert first.returncode == 0
            settings = arena.settings(
                proxy.url_of("last"), live=True, data_dir=tmp_path / "one", min_profit_usd=1_000_000,
                database_url=SecretStr("sqlite:///keeper.db"),
            )  # fmt: skip
            await assert_sound(arena, proxy, settings, least=1)


async def test_a_keeper_that_was_frozen_and_succeeded_sends_nothing_when_it_wakes_up(
    tmp_path: Path, database: str
) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=120)
        async with FaultProxy(anvil.url) as proxy:
            async with pair(arena, proxy, database, 2.0, 1.0) as two:
                found = await two.take_over(signal.SIGSTOP, 0.5)
                assert found.revived_sent == 0
                for keeper in two.keepers:
                    assert await two.end(keeper) == 0
            settings = arena.settings(
                proxy.url_of("last"), live=True, database_url=SecretStr(database), min_profit_usd=1_000_000
            )
            await assert_sound(arena, proxy, settings, least=2)
