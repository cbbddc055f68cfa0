"""The program as operators start it: stopped at any time it ends cleanly, and the next start goes on where it was."""

import asyncio
import os
import signal
import stat
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from keeper.abi import load_abi
from keeper.errors import OperatorError
from keeper.execute.journal.journal import open_history
from keeper.model.intent import Intent, IntentState
from keeper.observe.status import read_status
from keeper.sim.arena import WAIT_S, arena_node
from keeper.sim.keeper import CHAIN_ID, JOURNAL
from tests.support import harsh

NATIVE = bytes(20)


_errors: dict[Process, Path] = {}  # of each process that was started: where its standard error goes


@pytest.fixture(autouse=True)
async def _no_process_is_left() -> AsyncIterator[None]:
    yield
    for process in _errors:
        if process.returncode is None:
            process.kill()
        await process.wait()
    _errors.clear()


async def start(arena: harsh.EngineArena, *arguments: str, **changes: str) -> Process:
    """`keeper run` with settings from the environment alone."""
    settings = {
        "KEEPER_RPC_URLS": arena.anvil.ws_url,
        "KEEPER_CHAIN_ID": str(CHAIN_ID),
        "KEEPER_PROTOCOL": "margin_engine",
        "KEEPER_DEPLOYMENT": str(arena.files.deployment),
        "KEEPER_PRIVATE_KEY_FILE": str(arena.files.key),
        "KEEPER_DATA_DIR": str(arena.files.directory),
        "KEEPER_DATABASE_URL": JOURNAL,
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
    command = [sys.executable, "-m", "keeper", "run", *arguments]
    path = arena.files.directory / f"stderr-{len(_errors)}.txt"
    with path.open("wb") as errors:  # a file, not a pipe that is full when nobody reads it
        process = await asyncio.create_subprocess_exec(
            *command, env=inherited | settings | changes, cwd=arena.files.directory, stdout=DEVNULL, stderr=errors,
            umask=0,
        )  # fmt: skip
    _errors[process] = path
    return process


async def finish(process: Process) -> tuple[int, str]:
    """Exit code and standard error."""
    async with asyncio.timeout(WAIT_S):
        code = await process.wait()
    return code, _errors[process].read_text()


def intents(arena: harsh.EngineArena) -> list[Intent]:
    history = open_history(JOURNAL, arena.files.directory)
    try:
        return history.intents()
    finally:
        history.close()


async def play_until(arena: harsh.EngineArena, condition: Callable[[], bool], blocks: int = 60) -> None:
    for played in range(blocks):
        await arena.step()
        await asyncio.sleep(0.1 if played < blocks // 3 else 0.5)  # a process on a busy machine takes long to start
        if condition():
            return
    raise AssertionError(f"it did not come to pass within {blocks} blocks")


def balance(arena: harsh.EngineArena, token: bytes) -> int:
    if token == NATIVE:
        return arena.anvil.balance(arena.keeper)
    balance_of = load_abi("IERC20Metadata").functions["balanceOf"]
    return int(balance_of.decode(arena.anvil.call(token, balance_of.encode(arena.keeper)))[0])


def modes_below(directory: Path) -> dict[Path, int]:
    return {path: stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*")}


def some_mined(arena: harsh.EngineArena, count: int) -> bool:
    try:
        return sum(intent.state is IntentState.MINED for intent in intents(arena)) >= count
    except OperatorError:  # there is no journal yet
        return False


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
async def test_a_signal_ends_it_cleanly_and_a_second_start_goes_on_from_the_journal(
    tmp_path: Path, name: signal.Signals
) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=40, blocks=40)
        tokens = [NATIVE, *arena.market.deployed.tokens.values()]
        before = {token: balance(arena, token) for token in tokens}
        ended = []
        for round_ in range(1, 4):
            process = await start(arena, "--live")
            await play_until(arena, lambda round_=round_: some_mined(arena, 4 * round_))
            process.send_signal(name)
            ended.append(await finish(process))
        assert [code for code, _ in ended] == [0, 0, 0], ended
        assert not any("Traceback" in errors for _, errors in ended)

        # What was left on its way is taken up and comes to an end; nothing is worth that much, so nothing new begins.
        process = await start(arena, "--live", KEEPER_MIN_PROFIT_USD="1000000")
        await play_until(arena, lambda: all(intent.state.final for intent in intents(arena)))
        process.send_signal(name)
        assert (await finish(process))[0] == 0
        await arena.step()

        journal = intents(arena)
        assert all(intent.state.final for intent in journal)
        mined = [intent.outcome.tx_hash for intent in journal if intent.outcome]
        assert len(mined) == len(set(mined))
        assert anvil.quantity("eth_getTransactionCount", "0x" + arena.keeper.hex(), "latest") == len(mined)
        for token in tokens:
            booked = sum(intent.outcome.profit.get(token, 0) for intent in journal if intent.outcome)
            assert booked == balance(arena, token) - before[token]


async def test_nobody_else_can_read_what_a_live_keeper_writes(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=20, blocks=40)
        own, data = set(modes_below(tmp_path)), tmp_path / "data" / "inner"
        process = await start(arena, "--live", KEEPER_DATA_DIR=str(data), KEEPER_LOG_JSON=str(data / "keeper.jsonl"))
        own.add(_errors[process])
        await play_until(arena, lambda: {"status.json", "demo.db-wal"} <= {path.name for path in data.glob("*")})
        modes = {path: mode for path, mode in modes_below(tmp_path).items() if path not in own}
        process.terminate()
        assert (await finish(process))[0] == 0
    names = {path.name for path in modes}
    assert {"data", "inner", "demo.db", "demo.db-wal", "status.json", "keeper.lock", "keeper.jsonl"} <= names
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items()), modes


@pytest.mark.parametrize("name", [signal.SIGHUP, signal.SIGQUIT], ids=["sighup", "sigquit"])
async def test_other_signals_that_ask_to_stop_drain_it_as_sigterm_does(tmp_path: Path, name: signal.Signals) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=40, blocks=40)
        process = await start(arena, "--live")
        await play_until(arena, lambda: some_mined(arena, 1))
        process.send_signal(name)
        code, errors = await finish(process)
        assert (code, "Traceback" in errors) == (0, False)
        assert read_status(arena.files.directory).stopped == "asked to stop"


async def test_a_second_keeper_with_the_same_journal_is_refused_with_code_3(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=10, blocks=40)
        first = await start(arena, "--live")
        await play_until(arena, (tmp_path / "status.json").exists)
        code, errors = await finish(await start(arena, "--live"))
        assert code == 3
        assert errors.strip().count("\n") == 0
        first.terminate()
        assert (await finish(first))[0] == 0


async def test_it_rescues_on_a_fork_and_leaves_the_first_chain_untouched(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=40, blocks=40)
        for _ in range(20):
            record = await arena.step()
        assert record.unsafe
        head = anvil.block()["hash"]
        with arena_node(fork_url=anvil.url) as fork:
            process = await start(arena, "--live", KEEPER_RPC_URLS=fork.ws_url)
            async with asyncio.timeout(WAIT_S):
                while not some_mined(arena, 10):
                    await asyncio.to_thread(fork.mine, 1, 1)
                    await asyncio.sleep(0.2)  # the pace of the fork
            process.terminate()
            assert (await finish(process))[0] == 0
            assert fork.quantity("eth_getTransactionCount", "0x" + arena.keeper.hex(), "latest") >= 10
        assert anvil.block()["hash"] == head
        assert anvil.quantity("eth_getTransactionCount", "0x" + arena.keeper.hex(), "pending") == 0
