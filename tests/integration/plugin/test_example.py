"""The example of a plug-in, as its users have it: built, installed beside the keeper, found by its entry point."""

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keeper.abi import checksum
from keeper.model.chain import hexed
from keeper.model.health import WAD
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.options import dev_key
from tests.support.example import EXAMPLE, SOLC, bench_on

NATIVE = checksum(bytes(20))
KEEPER = 9  # which development account: the last


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the built package lies, with nothing else from the checkout."""
    target = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(EXAMPLE)]
    subprocess.run(command, check=True, cwd=target)
    return target


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """The example's own market: eight accounts that owe, three of them too much since the price fell."""
    with Anvil() as anvil:
        bench = bench_on(anvil)
        for index, user in enumerate(bench.users[:-1]):
            bench.do(bench.lend.functions.supply(10 * WAD), user)
            bench.do(bench.lend.functions.borrow((12_000 + 480 * index) * 10**6), user)
        bench.price(1_780)
        yield bench


@pytest.fixture(scope="module")
def environment(installed: Path, bench: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an operator sets, and nothing else of the keeper's."""
    home = tmp_path_factory.mktemp("operator")
    deployment = {"protocol": "tiny_lend", "chain_id": 31337, "start_block": 0}
    deployment["contracts"] = {"TinyLend": bench.lend.address}
    (home / "deployment.json").write_text(json.dumps(deployment))
    (home / "keeper.key").write_text(hexed(dev_key(KEEPER)))
    settings = {
        "KEEPER_RPC_URLS": bench.anvil.url,
        "KEEPER_CHAIN_ID": "31337",
        "KEEPER_PROTOCOL": "tiny_lend",
        "KEEPER_DEPLOYMENT": str(home / "deployment.json"),
        "KEEPER_PRIVATE_KEY_FILE": str(home / "keeper.key"),
        "KEEPER_DATA_DIR": str(home / "data"),
        "KEEPER_NATIVE_PRICE_USD": "3000",
        "KEEPER_POLL_INTERVAL_S": "0.1",
        "KEEPER_DEADLINE_BLOCKS": "100",  # on a busy machine a block of the test is shorter than a turn
        "PYTHONPATH": str(installed),
        "SOLC": SOLC,
    }
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KEEPER_")}
    return inherited | settings


def keeper(environment: dict[str, str], *arguments: str) -> str:
    """The program's standard output; it must end with 0."""
    command = [sys.executable, "-m", "keeper", *arguments]
    home = Path(environment["KEEPER_DEPLOYMENT"]).parent
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def on_chain(bench: Any, account: str) -> tuple[int, int]:
    """The contract's own view: capacity and debt."""
    capacity, owed = bench.lend.functions.health(account).call()
    return capacity, owed


def balances(bench: Any) -> dict[str, int]:
    """What the keeper has, by token."""
    account = bench.users[-1]
    found = {token.address: token.functions.balanceOf(account).call() for token in (bench.weth, bench.usdc)}
    return {**found, NATIVE: bench.web3.eth.get_balance(account)}


def test_scan_finds_the_plug_in_and_every_health_is_the_contracts(bench: Any, environment: dict[str, str]) -> None:
    document = json.loads(keeper(environment, "scan", "--json"))
    assert document["protocol"] == "tiny_lend"
    assert len(document["accounts"]) == len(bench.users) - 1
    for entry in document["accounts"]:
        found = int(entry["views"]["capacity"]), int(entry["views"]["owed"])
        assert found == on_chain(bench, entry["account"])
        assert entry["liquidatable"] == (found[1] > found[0])
    assert sum(entry["liquidatable"] for entry in document["accounts"]) == 3


def test_doctor_has_nothing_to_mend(environment: dict[str, str]) -> None:
    document = json.loads(keeper(environment, "doctor", "--json"))
    assert [check for check in document["checks"] if check["verdict"] == "fail"] == []


def test_what_is_planned_is_done_and_the_journals_profit_is_the_change_of_balances(
    bench: Any, environment: dict[str, str]
) -> None:
    planned = json.loads(keeper(environment, "plan", "--json"))
    assert (len(planned["plans"]), planned["rejected"]) == (3, [])
    before = balances(bench)
    bench.anvil.set_automine(False)
    with _mining(bench.anvil):
        keeper(environment, "run", "--live", "--blocks", "12")
    intents = json.loads(keeper(environment, "txs", "--json"))["intents"]
    assert {intent["account"] for intent in intents} == {plan["account"] for plan in planned["plans"]}
    assert all(intent["mined"]["status"] == 1 for intent in intents)
    gained = {token: units - before[token] for token, units in balances(bench).items()}
    document = json.loads(keeper(environment, "pnl", "--json"))
    booked = {token: int(units) for token, units in document["profit"].items()}
    assert booked[bench.weth.address] > 0
    assert booked == gained
    for user in bench.users[:-1]:
        capacity, owed = on_chain(bench, user)
        assert owed <= capacity


class _mining:  # noqa: N801 - it reads as what it does
    """A block every 0.3 seconds."""

    def __init__(self, anvil: Anvil) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._mine, args=(anvil,))

    def _mine(self, anvil: Anvil) -> None:
        while not self._stop.wait(0.3):
            anvil.mine()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def older(environment: dict[str, str], installed: Path, tmp_path: Path) -> dict[str, str]:
    """The settings of somebody who has the plug-in as it was before adapters said what they may call."""
    for part in installed.iterdir():
        if part.is_dir():
            shutil.copytree(part, tmp_path / part.name)
    adapter = tmp_path / "tiny_lend" / "adapter.py"
    source = adapter.read_text()
    [made] = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    newer = [node for node in made.body if isinstance(node, ast.FunctionDef) and node.name in ("permits", "stakes")]
    lines = {line for node in newer for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    assert len(newer) == 2
    adapter.write_text("\n".join(text for line, text in enumerate(source.splitlines(), 1) if line not in lines))
    return environment | {"PYTHONPATH": str(tmp_path), "KEEPER_DATA_DIR": str(tmp_path / "data")}


def test_a_plug_in_that_does_not_say_what_it_may_call_runs_dry_and_not_live(older: dict[str, str]) -> None:
    keeper(older, "run", "--once")
    command = [sys.executable, "-m", "keeper", "run", "--live", "--once"]
    home = Path(older["KEEPER_DEPLOYMENT"]).parent
    done = subprocess.run(command, env=older, cwd=home, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "the plug-in tiny_lend does not say which calls it may make" in done.stderr
    assert "KEEPER_ALLOW_UNCHECKED_CALLS" in done.stderr
    assert "Traceback" not in done.stderr
    keeper(older | {"KEEPER_ALLOW_UNCHECKED_CALLS": "true"}, "run", "--live", "--once")


def test_the_doctor_warns_of_a_plug_in_that_does_not_say_what_it_may_call(older: dict[str, str]) -> None:
    for changes, words in (
        ({}, "a live run is refused"),
        ({"KEEPER_ALLOW_UNCHECKED_CALLS": "true"}, "unset KEEPER_ALLOW_UNCHECKED_CALLS"),
    ):
        checks = json.loads(keeper(older | changes, "doctor", "--json"))["checks"]
        [found] = [check for check in checks if check["name"] == "calls"]
        assert (found["verdict"], words in found["action"]) == ("warn", True)


def test_the_examples_own_tests_pass(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE)]
    command += ["-c", str(EXAMPLE / "pyproject.toml"), str(EXAMPLE / "tests")]
    quiet = {**environment, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=quiet, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
