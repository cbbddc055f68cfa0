"""A market of Perpetual Protocol v2 on a real node, and the program with settings of it: for `keeper executor`."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keeper.abi import checksum
from keeper.cli.main import main
from keeper.execute.signing.local import from_private_key
from keeper.model.chain import unhexed
from keeper.sim.markets.curie import DeployedCurie, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask
from keeper.sim.node.client import Node, Tx, impersonate
from keeper.sim.node.options import dev_key
from tests.integration.protocols.executor.conftest import Ended

KEY = "0x" + dev_key(3).hex()
TREASURY = checksum(from_private_key("0x" + dev_key(5).hex()).address)
SIGNER = from_private_key(KEY).address
USD = 10**6
Run = Callable[..., Ended]


@dataclass(frozen=True)
class Place:
    """A market, and a data directory with a deployment file."""

    anvil: Anvil
    deployed: DeployedCurie
    directory: Path

    @property
    def deployment(self) -> Path:
        return self.directory / "deployment.json"

    @property
    def factory(self) -> str:
        return checksum(self.deployed.exits.uniswap.factory)

    def executor(self) -> bytes:
        return bytes.fromhex(json.loads(self.deployment.read_text())["contracts"]["Executor"][2:])

    def held(self, holder: bytes) -> int:
        return int(ask(self.deployed.node, self.deployed.tokens["USDC"], "balanceOf(address)", holder))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Anvil(gas_limit=60_000_000) as anvil:
        deployed = deploy(Node.at(anvil.url))
        deployed.write_deployment(tmp_path / "deployment.json")
        yield Place(anvil, deployed, tmp_path)


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the program with settings of the market; keyword arguments change them."""
    for key in [key for key in os.environ if key.startswith("KEEPER_")]:
        monkeypatch.delenv(key)
    monkeypatch.chdir(place.directory)

    def call(*arguments: str, **changes: object) -> Ended:
        values = {
            "KEEPER_RPC_URLS": place.anvil.url,
            "KEEPER_CHAIN_ID": 31337,
            "KEEPER_PROTOCOL": "curie",
            "KEEPER_DEPLOYMENT": place.deployment,
            "KEEPER_DATA_DIR": place.directory / "data",
            "KEEPER_PRIVATE_KEY": KEY,
            "KEEPER_NATIVE_PRICE_USD": 3000,
            **changes,
        }
        (place.directory / ".env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


def checks(run: Run, **changes: object) -> dict[str, tuple[str, str, str]]:
    """The doctor's findings about the executor: verdict, message, action."""
    found = json.loads(run("doctor", "--json", **changes).out)["checks"]
    wanted = [check for check in found if check["name"].startswith("executor")]
    return {check["name"]: (check["verdict"], check["message"], check["action"]) for check in wanted}


def deployed_one(place: Place, run: Run) -> bytes:
    """A funded executor, made by the command; the node signs for its treasury."""
    assert run("executor", "deploy", "--factory", place.factory, "--treasury", TREASURY, "--live").code == 0
    place.deployed.node.send(place.deployed.mint("USDC", place.executor(), 1_000 * USD))
    impersonate(place.deployed.node, [unhexed(TREASURY)])
    return place.executor()


def decided(place: Place, run: Run, *arguments: str) -> str:
    """Send what `keeper executor treasury` printed, from the treasury; the words that it printed."""
    document = json.loads(run("executor", "treasury", *arguments, "--json").out)
    assert (document["to"], document["value"]) == (checksum(place.executor()), "0")
    place.deployed.node.send(Tx(unhexed(TREASURY), unhexed(document["to"]), unhexed(document["data"])))
    return str(document["what"])
