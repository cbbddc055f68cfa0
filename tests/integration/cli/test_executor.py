"""`keeper executor` and `keeper doctor` against a real node and real Perpetual Protocol v2."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keeper.abi import checksum
from keeper.chain.connect import connect
from keeper.cli.executor.deploy import check_transient_storage
from keeper.cli.main import main
from keeper.errors import OperatorError
from keeper.execute.admission.approvals import approval
from keeper.execute.journal.journal import open_journal
from keeper.execute.leadership.file_lock import lock_directory
from keeper.execute.signing.local import from_private_key
from keeper.model.chain import BlockRef
from keeper.model.intent import IntentState
from keeper.model.plan import Policy
from keeper.sim.markets.curie import DeployedCurie, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask
from keeper.sim.node.client import Node
from keeper.sim.node.options import dev_key
from tests.integration.protocols.executor.conftest import Ended

KEY = "0x" + dev_key(3).hex()
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


def test_an_executor_is_deployed_named_filled_shown_and_swept(place: Place, run: Run) -> None:
    ended = run("executor", "deploy", "--factory", place.factory, "--live")
    assert (ended.code, ended.err) == (0, "")
    executor = place.executor()
    assert checksum(executor) in ended.out
    assert ask(place.deployed.node, executor, "owner()", returns=["address"]) == SIGNER
    assert ask(place.deployed.node, executor, "factory()", returns=["address"]) == place.deployed.exits.uniswap.factory

    place.deployed.node.send(place.deployed.mint("USDC", executor, 1_500 * USD))
    document = json.loads(run("executor", "show", "--json").out)
    assert (document["owner"], document["factory"]) == (checksum(SIGNER), place.factory)
    [held] = [entry for entry in document["holds"] if entry["symbol"] == "USDC"]
    assert held["balance"] == str(1_500 * USD)

    assert "1,000.25 USDC sent to the owner" in run("executor", "sweep", "USDC", "1000.25", "--live").out
    assert place.held(SIGNER) == 1_000_250_000
    token = checksum(place.deployed.tokens["USDC"])
    assert run("executor", "sweep", token, "all", "--live").code == 0
    assert (place.held(SIGNER), place.held(executor)) == (1_500 * USD, 0)


@pytest.mark.parametrize("contract", ["ClearingHouse", "nothing there"])
def test_what_is_no_token_or_no_executor_is_one_line(place: Place, run: Run, contract: str) -> None:
    assert run("executor", "deploy", "--factory", place.factory, "--live").code == 0
    address = checksum(place.deployed.contracts.get(contract, b"\x12" * 20))
    ended = run("executor", "sweep", address, "1", "--live")
    assert (ended.code, ended.line.count("\n")) == (4, 0)
    assert f"{address} is not a token" in ended.line
    document = json.loads(place.deployment.read_text())
    document["contracts"]["Executor"] = checksum(place.deployed.contracts["ClearingHouse"])
    place.deployment.write_text(json.dumps(document))
    ended = run("executor", "show")
    assert (ended.code, "KEEPER_DEPLOYMENT" in ended.line) == (2, True)


def test_nothing_is_signed_without_live(place: Place, run: Run) -> None:
    before = place.deployment.read_text()
    for arguments in (("deploy", "--factory", place.factory), ("sweep", "USDC", "1")):
        ended = run("executor", *arguments)
        assert (ended.code, ended.line) == (
            2,
            "this command signs and sends a transaction: give --live, or set KEEPER_LIVE",
        )
    assert place.deployment.read_text() == before
    assert place.anvil.quantity("eth_getTransactionCount", checksum(SIGNER), "latest") == 0


def test_mistakes_get_one_line(place: Place, run: Run) -> None:
    deploy_with = ("executor", "deploy", "--live", "--factory")
    assert "not an address" in run(*deploy_with, "0x12").line
    assert "is not a Uniswap v3 factory" in run(*deploy_with, checksum(place.deployed.tokens["USDC"])).line
    assert "names no Executor" in run("executor", "show").line
    assert "names no Executor" in run("executor", "sweep", "USDC", "1", "--live").line
    assert run(*deploy_with, place.factory).code == 0
    assert "names the executor" in run(*deploy_with, place.factory).line
    assert "the executor holds 0 USDC: 1 cannot be taken" in run("executor", "sweep", "USDC", "1", "--live").line
    assert "all cannot be taken" in run("executor", "sweep", "USDC", "all", "--live").line
    assert "at most 6 decimals" in run("executor", "sweep", "USDC", "0.0000001", "--live").line
    assert "is not an amount" in run("executor", "sweep", "USDC", "much", "--live").line
    assert "is not one of" in run("executor", "sweep", "GOLD", "1", "--live").line


def test_a_keeper_that_runs_or_left_something_on_its_way_is_in_the_way(place: Place, run: Run) -> None:
    arguments = ("executor", "deploy", "--factory", place.factory, "--live")
    data = place.directory / "data"
    lock = lock_directory(data)
    ended = run(*arguments)
    lock.close()
    assert (ended.code, "another keeper holds" in ended.line) == (3, True)

    journal = open_journal("sqlite:///keeper.db", data, SIGNER, 31337)
    block = BlockRef(1, b"1" * 32, b"0" * 32, 1)
    request = approval(
        (place.deployed.tokens["USDC"], place.deployed.contracts["Vault"]),
        SIGNER,
        block,
        Policy(0, 0, 0.0, 10**12, 1, 6, 1, 0.5),
    )
    [intent] = journal.reserve([(request, 0)])
    journal.close()
    ended = run(*arguments)
    assert (ended.code, "are pending: `keeper txs` shows them" in ended.line) == (4, True)

    journal = open_journal("sqlite:///keeper.db", data, SIGNER, 31337)
    journal.move(intent.id, IntentState.DROPPED)
    journal.close()
    assert run(*arguments).code == 0


def test_a_transaction_that_is_not_mined_in_time_is_named(place: Place, run: Run) -> None:
    place.anvil.set_automine(False)
    ended = run("executor", "deploy", "--factory", place.factory, "--live", "--wait", "0.5")
    assert ended.code == 4
    assert re.search(r"0x[0-9a-f]{64} was not mined within 0.5 s", ended.err)
    assert "Executor" not in place.deployment.read_text()
    place.anvil.set_automine(True)
    place.anvil.mine()


@pytest.mark.parametrize(("hardfork", "works"), [("cancun", True), ("shanghai", False)])
async def test_a_chain_without_transient_storage_is_told_before_anything_is_paid(hardfork: str, works: bool) -> None:
    with Anvil(hardfork=hardfork) as anvil:
        async with await connect([anvil.url], 31337, 5.0, lambda _: None) as chain:
            if works:
                await check_transient_storage(chain, SIGNER)
            else:
                with pytest.raises(OperatorError, match="no transient storage"):
                    await check_transient_storage(chain, SIGNER)


def test_only_the_owner_sweeps(place: Place, run: Run) -> None:
    assert run("executor", "deploy", "--factory", place.factory, "--live").code == 0
    place.deployed.node.send(place.deployed.mint("USDC", place.executor(), USD))
    other = "0x" + dev_key(4).hex()
    ended = run("executor", "sweep", "USDC", "1", "--live", KEEPER_PRIVATE_KEY=other)
    assert ended.code == 4
    assert "not sent, the transaction would revert: NotOwner" in ended.err
    assert place.held(place.executor()) == USD


def test_a_live_start_without_an_executor_is_refused_in_one_line(place: Place, run: Run) -> None:
    ended = run("run", "--live", "--once")
    assert ended.code == 2
    assert "KEEPER_DEPLOYMENT names no Executor" in ended.err
    assert "keeper executor deploy --factory ADDRESS --live" in ended.err
    assert run("run", "--once").code == 0


def test_the_doctor_looks_at_the_executor(place: Place, run: Run) -> None:
    assert checks(run)["executor"][0] == "warn"
    assert checks(run, KEEPER_LIVE="true")["executor"][0] == "fail"
    assert run("executor", "deploy", "--factory", place.factory, "--live").code == 0
    found = checks(run)
    assert found["executor: owner"][0] == found["executor: factory"][0] == "ok"
    verdict, _, action = found["executor: capital"]
    assert (verdict, checksum(place.executor()) in action) == ("warn", True)
    place.deployed.node.send(place.deployed.mint("USDC", place.executor(), 25 * USD))
    assert checks(run)["executor: USDC"][:2] == ("ok", "25.00 USDC")
    verdict, message, action = checks(run, KEEPER_PRIVATE_KEY="0x" + dev_key(4).hex())["executor: owner"]
    assert (verdict, checksum(SIGNER) in message, "set the signer" in action) == ("fail", True, True)

    place.deployed.write_deployment(place.deployment, place.deployed.contracts["Vault"])
    assert run("doctor", "--json").code == 4
