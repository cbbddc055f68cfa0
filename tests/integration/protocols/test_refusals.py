"""What cannot be liquidated is skipped and named: `keeper plan` says each account's reason, and so does the event."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keeper.cli.main import main
from keeper.model.chain import hexed, unhexed
from keeper.sim.keeper import CHAIN_ID
from keeper.sim.market import market_factory_of
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import calldata
from keeper.sim.node.client import Node, Tx
from keeper.sim.node.options import dev_key
from keeper.sim.player import GAS_LIMIT

ACCOUNTS = 24
KEEPER = 7  # which development account
BLOCKS = 24


class Crash:
    """A market of a real protocol whose prices fell, and the program with settings for it."""

    def __init__(self, protocol: str, anvil: Anvil, home: Path) -> None:
        self.node = Node.at(anvil.url)
        factory = market_factory_of(protocol)
        self.market: Any = factory.deploy(self.node, 1.0)
        scenario = factory.scenario(3, ACCOUNTS, BLOCKS)
        self.market.accounts(scenario.openings)
        self.market.open(scenario.openings)
        self.market.fund_keeper(unhexed(anvil.accounts()[KEEPER]), 1.0, home / "deployment.json")
        for step in scenario.steps[: BLOCKS // 2 : 2]:
            self.node.send(*self.market.price_transactions(step.prices))
            anvil.mine(2, 60)
        self.values = {
            "KEEPER_RPC_URLS": anvil.url,
            "KEEPER_CHAIN_ID": CHAIN_ID,
            "KEEPER_PROTOCOL": protocol,
            "KEEPER_DEPLOYMENT": home / "deployment.json",
            "KEEPER_DATA_DIR": home / "data",
            "KEEPER_PRIVATE_KEY": hexed(dev_key(KEEPER)),
            "KEEPER_NATIVE_PRICE_USD": 1,
            "KEEPER_LOG_JSON": home / "log.jsonl",
        }

    def homes(self, home: Path) -> tuple[str, str]:
        """Where the deployment file lies, and where another one does."""
        return str(self.values["KEEPER_DEPLOYMENT"]).replace("deployment.json", "bare.json"), str(home / "bare.json")


@pytest.fixture(scope="module", params=["aave_v3", "curie"])
def crash(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crash]:
    with Anvil(mining=False, gas_limit=GAS_LIMIT, chain_id=CHAIN_ID) as anvil:
        yield Crash(request.param, anvil, tmp_path_factory.mktemp("home"))


Run = Callable[..., str]


@pytest.fixture
def run(crash: Crash, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for key in [key for key in os.environ if key.startswith("KEEPER_")]:
        monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in crash.values.items()))

    def call(*arguments: str) -> str:
        capsys.readouterr()
        assert main(list(arguments)) == 0
        return capsys.readouterr().out

    return call


def test_while_the_protocol_is_open_unsafe_accounts_are_planned_or_refused_each_with_its_reason(run: Run) -> None:
    document = json.loads(run("plan", "--json"))
    assert document["plans"]
    assert document["unsafe"] == len(document["plans"]) + len(document["rejected"])
    for item in document["rejected"]:
        assert item["message"]
        assert not item["message"].startswith(item["reason"])


def test_doctor_has_nothing_to_mend(run: Run) -> None:
    document = json.loads(run("doctor", "--json"))
    assert [check for check in document["checks"] if check["verdict"] == "fail"] == []
    assert {"executor: operator", "executor: treasury"} <= {check["name"] for check in document["checks"]}


def test_without_an_executor_a_look_is_possible_and_a_live_start_says_how_to_get_one(
    crash: Crash, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crash.market.deployed.write_deployment(tmp_path / "bare.json")
    settings = tmp_path / ".env"
    settings.write_text(settings.read_text().replace("deployment.json", "bare.json").replace(*crash.homes(tmp_path)))
    assert json.loads(run("scan", "--json"))["accounts"]
    document = json.loads(run("plan", "--json"))
    assert document["unsafe"] == len(document["plans"]) + len(document["rejected"])
    run("run", "--once")
    assert main(["run", "--live", "--once"]) == 2
    assert "keeper executor deploy" in capsys.readouterr().err


def test_once_it_is_paused_everybody_is_on_hold_and_the_event_says_so(crash: Crash, run: Run) -> None:
    deployed = crash.market.deployed
    if "aave" in str(crash.values["KEEPER_PROTOCOL"]):
        crash.node.send(deployed.pause_all())
    else:
        crash.node.send(
            *(Tx(deployed.owner, deployed.contracts[name], calldata("pause()")) for name in ("ClearingHouse", "Vault"))
        )
    document = json.loads(run("plan", "--json"))
    assert document["plans"] == []
    reasons = Counter(item["reason"] for item in document["rejected"])
    assert reasons.keys() == {"hold"}
    assert all("paused" in item["message"] for item in document["rejected"])
    run("run", "--once")
    lines = [json.loads(line) for line in Path(str(crash.values["KEEPER_LOG_JSON"])).read_text().splitlines()]
    told = {line["account"]: line["reason"] for line in lines if line["event"] == "plan.rejected"}
    assert told == {item["account"]: "hold" for item in document["rejected"]}
