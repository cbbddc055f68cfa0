"""`keeper status --max-age`, by which service managers and containers see whether the keeper works."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keeper.observe.status import Status, write_status
from tests.unit.cli.conftest import Keeper


def state(age_s: float, pid: int | None = None, stopped: str = "") -> Status:
    now = time.time()
    return Status(
        version="1", pid=os.getpid() if pid is None else pid, live=False, protocol="margin_engine", chain_id=31337,
        signer=None, started_at=now - 1000, updated_at=now - age_s, stopped=stopped, block=7,
    )  # fmt: skip


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_code_says_whether_a_keeper_runs_and_handles_blocks(
    keeper: Keeper, place: Path, dead: int, form: list[str]
) -> None:
    for status, code in [
        (state(age_s=1), 0), (state(age_s=400), 4), (state(1, pid=dead), 4), (state(1, stopped="asked to stop"), 4),
    ]:  # fmt: skip
        write_status(place, status)
        ended = keeper("status", "--max-age", "300", *form, KEEPER_DATA_DIR=".")
        assert (ended.code, bool(ended.out), ended.err) == (code, True, "")
        assert keeper("status", *form, KEEPER_DATA_DIR=".").code == 0


def test_without_a_status_file_nothing_runs(keeper: Keeper) -> None:
    assert keeper("status", "--max-age", "300", KEEPER_DATA_DIR=".").code == 2
