"""The whole demo with the real daemon, small; and how it ends when someone does not want to wait."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from keeper.app.daemon import Daemon
from keeper.demo.results import DemoResult
from keeper.demo.run import DemoOptions, run_demo
from keeper.errors import InvariantBroken, OperatorError
from keeper.model.events import Emit
from keeper.settings import Settings

SMALL = ("--accounts", "20", "--blocks", "20", "--seed", "2", "--json")


async def test_the_daemon_rescues_a_small_market(tmp_path: Path) -> None:
    heard: list[DemoResult] = []
    options = DemoOptions(40, 40, 3, as_json=True, data_dir=tmp_path, pace_s=0.05, patience_s=10.0)
    result = await run_demo(options, Daemon, heard.append)
    assert heard == [result]
    assert result.missed == 0
    assert result.rescued == result.liquidatable > 5
    assert result.still_open > result.wiped_out
    assert result.bad_debt_usd < result.bad_debt_without_keeper_usd
    assert result.mined == result.partial + result.full + result.seized + 1  # and one approval
    assert {"deployment.json", "keeper.key", ".env", "report.html", "demo.db"} <= set(os.listdir(tmp_path))  # noqa: PTH208


class Sleeper:
    """A keeper that ends before it has begun."""

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self.settings = settings

    async def run(self, stop: object) -> int:
        return 5


async def test_a_keeper_that_ends_early_ends_the_demo(tmp_path: Path) -> None:
    options = DemoOptions(10, 20, 1, as_json=True, data_dir=tmp_path, pace_s=0.01)
    with pytest.raises(InvariantBroken, match="code 5"):
        await run_demo(options, Sleeper)


@pytest.mark.parametrize(("accounts", "blocks"), [(0, 60), (-3, 60), (10**6, 60), (300, 3)])
async def test_absurd_sizes_are_refused_by_name(accounts: int, blocks: int, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"--accounts|--blocks"):
        await run_demo(DemoOptions(accounts, blocks, data_dir=tmp_path), Daemon)


def start(*arguments: str, data_dir: Path) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEEPER_")}
    program = "from keeper.cli.main import main; raise SystemExit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, "demo", *arguments, "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def answers(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle_it_takes_the_node_with_it(how: signal.Signals, tmp_path: Path) -> None:
    process = start(*SMALL, data_dir=tmp_path)
    assert process.stderr is not None
    line = next(line for line in process.stderr if line.startswith("MarginEngine"))
    url = line.split(" on ")[1].split(",")[0]
    assert answers(url)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("keeper: interrupted\n")
    assert "Traceback" not in errors
    assert not answers(url)


def test_kept_up_it_leaves_work_for_a_fork_until_interrupted(tmp_path: Path) -> None:
    process = start(*SMALL, "--keep", data_dir=tmp_path)
    assert process.stdout is not None
    document = ""
    while not document.rstrip().endswith("}") or document.count("{") != document.count("}"):
        document += process.stdout.readline()
    result = json.loads(document)
    assert answers(result["rpc_url"])
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "accounts are unsafe now" in errors
    assert "Traceback" not in errors
    assert not answers(result["rpc_url"])
