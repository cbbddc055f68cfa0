"""F45: no journal, no send: a full disk, a locked file, a database that went away, a damaged file."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, func, update

from keeper.execute.journal.database import locate
from keeper.execute.leadership.lease import LEASES
from keeper.model.events import (
    BREAKER_OPEN,
    JOURNAL_REBUILT,
    JOURNAL_UNAVAILABLE,
    LEASE_ACQUIRED,
    LEASE_LOST,
    NODE_DOWN,
    TX_MINED,
)
from keeper.settings import Settings
from keeper.sim.arena import WAIT_S, Running, arena_node, running
from keeper.sim.keeper import JOURNAL
from tests.faults.test_f20_two_keepers_one_key import start, until_something_is_sent
from tests.support import harsh
from tests.support.invariants import assert_invariants
from tests.support.postgres import Postgres
from tests.support.proxy import FaultProxy
from tests.support.succession import IN_FLIGHT, WORST_BLOCK, assert_sound


@asynccontextmanager
async def market(tmp_path: Path) -> AsyncIterator[tuple[harsh.EngineArena, FaultProxy]]:
    """Where much is to be done, and a proxy before it."""
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=120)
        for _ in range(WORST_BLOCK):
            await arena.step()
        async with FaultProxy(anvil.url) as proxy:
            yield arena, proxy


def live(arena: harsh.EngineArena, proxy: FaultProxy, **changes: object) -> Settings:
    values = {"live": True, "max_in_flight": IN_FLIGHT, "min_profit_usd": -1_000_000, "lease_s": 0.4}
    return arena.settings(proxy.url, **{**values, **changes})


async def block(arena: harsh.EngineArena, keeper: Running) -> None:
    await arena.quiet()
    await keeper.handled(arena.anvil.block_number())


async def mined(arena: harsh.EngineArena, keeper: Running, count: int) -> None:
    """Blocks until so many more are mined."""
    wanted = len(keeper.of(TX_MINED)) + count
    async with asyncio.timeout(WAIT_S):
        while len(keeper.of(TX_MINED)) < wanted:
            await block(arena, keeper)
            await asyncio.sleep(0.1)  # the pace of the chain


def leads_again(keeper: Running) -> bool:
    """Whether it became leader after the last time that it lost its lease."""
    changes = [event.kind for event in keeper.events if event.kind in (LEASE_ACQUIRED, LEASE_LOST)]
    return LEASE_LOST in changes and changes[-1] is LEASE_ACQUIRED


async def new_bytes(arena: harsh.EngineArena, keeper: Running, proxy: FaultProxy, blocks: int = 3) -> set[bytes]:
    """What leaves in some blocks that had not left before."""
    before = set(proxy.sent)
    for _ in range(blocks):
        await block(arena, keeper)
    return set(proxy.sent) - before


async def ended(arena: harsh.EngineArena, proxy: FaultProxy, settings: Settings, least: int) -> None:
    last = settings.model_copy(update={"min_profit_usd": 1_000_000})
    await assert_sound(arena, proxy, last, least)


async def test_while_another_process_locks_the_journal_nothing_leaves_and_then_it_goes_on(tmp_path: Path) -> None:
    async with market(tmp_path) as (arena, proxy):
        settings = live(arena, proxy)
        async with running(settings) as keeper:
            await mined(arena, keeper, 2)
            thief = sqlite3.connect(tmp_path / JOURNAL.removeprefix("sqlite:///"), isolation_level=None)
            thief.execute("BEGIN IMMEDIATE")
            try:
                before, lost = set(proxy.sent), len(keeper.of(LEASE_LOST))
                await arena.quiet()
                await keeper.until(
                    lambda: len(keeper.of(LEASE_LOST)) > lost
                )  # as soon as SQLite waited long enough for the lock
                await keeper.until(lambda: keeper.of(JOURNAL_UNAVAILABLE))
                assert not keeper.of(NODE_DOWN)
                assert set(proxy.sent) == before
                assert await new_bytes(arena, keeper, proxy) == set()
            finally:
                thief.execute("ROLLBACK")
                thief.close()
            await keeper.until(lambda: leads_again(keeper))
            await mined(arena, keeper, 2)
        await ended(arena, proxy, settings, least=4)


async def test_while_the_database_is_away_nothing_leaves_and_then_it_goes_on(tmp_path: Path) -> None:
    server = Postgres().start()
    try:
        async with market(tmp_path) as (arena, proxy):
            settings = live(arena, proxy, database_url=SecretStr(server.database()))
            async with running(settings) as keeper:
                await mined(arena, keeper, 2)
                lost = len(keeper.of(LEASE_LOST))  # more than none on a busy machine: the lease is short
                server.halt()
                await keeper.until(lambda: len(keeper.of(LEASE_LOST)) > lost)
                assert await new_bytes(arena, keeper, proxy) == set()
                assert not keeper.of(NODE_DOWN)
                server.resume()
                await keeper.until(lambda: leads_again(keeper))
                await mined(arena, keeper, 2)
            await ended(arena, proxy, settings, least=4)
    finally:
        server.stop()


async def test_a_lost_lease_is_neither_a_node_that_is_down_nor_a_journal_that_cannot_be_written(
    tmp_path: Path, database: str
) -> None:
    async with market(tmp_path) as (arena, proxy):
        settings = live(arena, proxy, database_url=SecretStr(database), lease_s=8.0)
        async with running(settings) as keeper:
            await mined(arena, keeper, 2)
            took_over(database)
            await arena.quiet()
            await keeper.until(lambda: keeper.of(LEASE_LOST))
            [lost] = keeper.of(LEASE_LOST)
            assert "another keeper took over" in lost.fields["reason"]
            await keeper.until(lambda: len(keeper.of(LEASE_ACQUIRED)) == 2)
            assert not [*keeper.of(NODE_DOWN), *keeper.of(JOURNAL_UNAVAILABLE), *keeper.of(BREAKER_OPEN)]
            await mined(arena, keeper, 2)
        await ended(arena, proxy, settings, least=4)


def took_over(database: str) -> None:
    """A newer token in the database, whose holder is dead already."""
    engine = create_engine(locate(database, Path()))
    with engine.begin() as connection:
        connection.execute(update(LEASES).values(token=LEASES.c.token + 1, expires_at=func.clock_timestamp()))
    engine.dispose()


async def test_on_a_full_disk_nothing_leaves_and_then_it_goes_on(tmp_path: Path) -> None:
    async with market(tmp_path) as (arena, proxy):
        data_dir = tmp_path / "one"
        process = await start(
            arena, proxy.url, data_dir, KEEPER_MAX_IN_FLIGHT=str(IN_FLIGHT), KEEPER_MIN_PROFIT_USD="-1000000",
            KEEPER_LEASE_S="0.4", KEEPER_LOG_LEVEL="error",
        )  # fmt: skip
        try:
            await until_something_is_sent(arena, proxy)
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            before = await at_rest(arena, proxy)
            for _ in range(3):
                await arena.quiet()
                await asyncio.sleep(0.3)  # the pace of the chain
            assert set(proxy.sent) == before
            assert process.returncode is None, (await process.communicate())[1].decode()
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
            async with asyncio.timeout(WAIT_S):
                while set(proxy.sent) == before:
                    await arena.quiet()
                    await asyncio.sleep(0.3)  # the pace of the chain
        finally:
            if process.returncode is None:
                process.terminate()
            _, errors = await process.communicate()
        assert "journal.unavailable" in errors.decode()
        assert "node.down" not in errors.decode()
        settings = live(arena, proxy, data_dir=data_dir, database_url=SecretStr("sqlite:///keeper.db"))
        await ended(arena, proxy, settings, least=2)


async def at_rest(arena: harsh.EngineArena, proxy: FaultProxy) -> set[bytes]:
    """What left until two blocks brought nothing new."""
    sent, same = set(proxy.sent), 0
    while same < 2:
        await arena.quiet()
        await asyncio.sleep(0.3)  # the pace of the chain
        same = same + 1 if set(proxy.sent) == sent else 0
        sent = set(proxy.sent)
    return sent


def kept(file: Path, content: bytes) -> list[str]:
    """The journals that were moved aside and still have this content."""
    return [str(path) for path in file.parent.glob(f"{file.name}.damaged-*") if path.read_bytes() == content]


def overwritten(file: Path) -> None:
    file.write_bytes(b"\xa5" * file.stat().st_size)


def torn(file: Path) -> None:
    """The header is there, and of the rest only noise."""
    size = file.stat().st_size
    with file.open("r+b") as out:
        out.seek(4096)
        out.write(b"\xa5" * (size - 4096))


@pytest.mark.parametrize("damage", [overwritten, torn])
async def test_a_damaged_journal_is_moved_aside_and_begun_anew_with_the_chains_nonces(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async with market(tmp_path) as (arena, proxy):
        settings = live(arena, proxy, breaker_reset_blocks=4)
        async with running(settings) as keeper:
            await mined(arena, keeper, 2)
        await arena.quiet()  # the last that it sent is mined
        file = tmp_path / JOURNAL.removeprefix("sqlite:///")
        damage(file)
        noise = file.read_bytes()
        arena.opened = arena.anvil.block_number()  # the books begin anew, from here
        proxy.seen.clear()
        async with running(settings) as keeper:
            await keeper.until(lambda: keeper.of(JOURNAL_REBUILT))
            [told] = keeper.of(JOURNAL_REBUILT)
            assert told.fields["moved_to"] in kept(file, noise)
            assert await new_bytes(arena, keeper, proxy, blocks=2) == set()
            await mined(arena, keeper, 2)
            for _ in range(3):
                await block(arena, keeper)
        await ended(arena, proxy, settings, least=2)


async def test_a_file_that_no_keeper_ever_locked_is_not_moved(tmp_path: Path) -> None:
    async with market(tmp_path) as (arena, proxy):
        precious = tmp_path / "letters.txt"
        precious.write_text("not a database\n" * 100)
        process = await start(arena, proxy.url, tmp_path / "one", KEEPER_DATABASE_URL=f"sqlite:///{precious}")
        async with asyncio.timeout(WAIT_S):
            _, errors = await process.communicate()
        assert process.returncode == 2, errors
        assert precious.read_text() == "not a database\n" * 100
        assert proxy.sent == []
        arena_is_untouched = arena.settings(proxy.url)
        async with running(arena_is_untouched) as keeper:
            await block(arena, keeper)
            await assert_invariants(arena, [proxy], [keeper])
