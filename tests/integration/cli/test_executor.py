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
from keeper.model.chain import BlockRef, unhexed
from keeper.model.intent import IntentState
from keeper.model.plan import Policy
from keeper.sim.markets.curie import DeployedCurie, deploy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask
from keeper.sim.node.client import Node, Tx, impersonate
from keeper.sim.node.options import dev_key
from tests.integration.protocols.executor.conftest import Ended
from tests.support.executor_v1 import deploy_v1

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


def test_an_executor_is_deployed_named_filled_shown_and_swept(place: Place, run: Run) -> None:
    ended = run("executor", "deploy", "--factory", place.factory, "--treasury", TREASURY, "--live")
    assert (ended.code, ended.err) == (0, "")
    executor = place.executor()
    assert checksum(executor) in ended.out
    assert ask(place.deployed.node, executor, "operator()", returns=["address"]) == SIGNER
    assert checksum(ask(place.deployed.node, executor, "treasury()", returns=["address"])) == TREASURY
    assert ask(place.deployed.node, executor, "factory()", returns=["address"]) == place.deployed.exits.uniswap.factory

    place.deployed.node.send(place.deployed.mint("USDC", executor, 1_500 * USD))
    document = json.loads(run("executor", "show", "--json").out)
    assert (document["treasury"], document["operator"]) == (TREASURY, checksum(SIGNER))
    assert document["factory"] == place.factory
    [held] = [entry for entry in document["holds"] if entry["symbol"] == "USDC"]
    assert held["balance"] == str(1_500 * USD)

    assert "1,000.25 USDC sent to the treasury" in run("executor", "sweep", "USDC", "1000.25", "--live").out
    assert place.held(unhexed(TREASURY)) == 1_000_250_000
    token = checksum(place.deployed.tokens["USDC"])
    assert run("executor", "sweep", token, "all", "--live").code == 0
    assert (place.held(unhexed(TREASURY)), place.held(executor)) == (1_500 * USD, 0)


@pytest.mark.parametrize("contract", ["ClearingHouse", "nothing there"])
def test_what_is_no_token_or_no_executor_is_one_line(place: Place, run: Run, contract: str) -> None:
    assert run("executor", "deploy", "--factory", place.factory, "--treasury", TREASURY, "--live").code == 0
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
    deploy_with = ("executor", "deploy", "--live", "--treasury", TREASURY, "--factory")
    assert "not an address" in run(*deploy_with, "0x12").line
    assert "is not a Uniswap v3 factory" in run(*deploy_with, checksum(place.deployed.tokens["USDC"])).line
    assert "names no Executor" in run("executor", "show").line
    assert "names no Executor" in run("executor", "sweep", "USDC", "1", "--live").line
    assert run(*deploy_with, place.factory).code == 0
    assert "names the executor" in run(*deploy_with, place.factory).line
    assert (
        "is the signer"
        in run("executor", "deploy", "--live", "--factory", place.factory, "--treasury", checksum(SIGNER)).line
    )
    assert "give --treasury" in run("executor", "deploy", "--live", "--factory", place.factory).line
    assert "the executor holds 0 USDC: 1 cannot be taken" in run("executor", "sweep", "USDC", "1", "--live").line
    assert "all cannot be taken" in run("executor", "sweep", "USDC", "all", "--live").line
    assert "at most 6 decimals" in run("executor", "sweep", "USDC", "0.0000001", "--live").line
    assert "is not an amount" in run("executor", "sweep", "USDC", "much", "--live").line
    assert "is not one of" in run("executor", "sweep", "GOLD", "1", "--live").line


def test_a_keeper_that_runs_or_left_something_on_its_way_is_in_the_way(place: Place, run: Run) -> None:
    arguments = ("executor", "deploy", "--factory", place.factory, "--treasury", TREASURY, "--live")
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
    ended = run("executor", "deploy", "--factory", place.factory, "--treasury", TREASURY, "--live", "--wait", "0.5")
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


def test_only_the_operator_sweeps(place: Place, run: Run) -> None:
    assert run("executor", "deploy", "--factory", place.factory, "--treasury", TREASURY, "--live").code == 0
    place.deployed.node.send(place.deployed.mint("USDC", place.executor(), USD))
    other = "0x" + dev_key(4).hex()
    ended = run("executor", "sweep", "USDC", "1", "--live", KEEPER_PRIVATE_KEY=other)
    assert ended.code == 4
    assert "not sent, the transaction would revert: NotOperator" in ended.err
    assert place.held(place.executor()) == USD


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


def test_the_treasury_decides_by_calldata_that_it_signs_itself(place: Place, run: Run) -> None:
    executor, other = deployed_one(place, run), checksum(from_private_key("0x" + dev_key(6).hex()).address)
    assert decided(place, run, "set-floor", "USDC", "2.5") == "liquidations must earn at least 2.5 USDC"
    assert decided(place, run, "set-held", "USDC", "yes") == "put USDC on the list"
    assert decided(place, run, "set-gas-bound", "0.5") == "the operator may take 0.5 coins a day"
    assert other in decided(place, run, "offer", other)
    document = json.loads(run("executor", "show", "--json").out)
    [usdc] = [entry for entry in document["holds"] if entry["symbol"] == "USDC"]
    assert (usdc["floor"], usdc["held"], document["pending_treasury"]) == ("2500000", True, other)
    assert (document["gas_bound"], document["gas_left_today"]) == (str(5 * 10**17), str(5 * 10**17))
    shown = run("executor", "show").out
    assert all(text in shown for text in (TREASURY, other, "0.5, 0.5 left today", "2.5"))

    accept = json.loads(run("executor", "treasury", "accept", "--json").out)
    place.deployed.node.send(Tx(unhexed(other), executor, unhexed(accept["data"])))
    assert checksum(ask(place.deployed.node, executor, "treasury()", returns=["address"])) == other
    printed = run("executor", "treasury", "set-operator", TREASURY).out
    assert re.search(r"data +0xb3ab15fb", printed), printed
    assert "not negative" in run("executor", "treasury", "set-gas-bound", "--", "-1").line


def test_coins_come_back_within_the_bound_only(place: Place, run: Run) -> None:
    executor = deployed_one(place, run)
    place.deployed.node.rpc("anvil_setBalance", checksum(executor), hex(10**18))
    assert "AboveGasBound" in run("executor", "refuel", "0.25", "--live").line
    decided(place, run, "set-gas-bound", "0.25")
    assert run("executor", "refuel", "0.2", "--live").code == 0
    assert "AboveGasBound" in run("executor", "refuel", "0.1", "--live").line
    before = place.anvil.quantity("eth_getBalance", TREASURY, "latest")
    assert run("executor", "sweep", "native", "all", "--live").code == 0
    assert place.anvil.quantity("eth_getBalance", TREASURY, "latest") - before == 8 * 10**17


def test_what_is_left_is_sold_and_capital_only_by_the_treasury(place: Place, run: Run) -> None:
    executor = deployed_one(place, run)
    deployed, pool = place.deployed, checksum(place.deployed.exits.pools["WETH", "USDC", 500])
    deployed.node.send(deployed.mint("WETH", executor, 10**18))
    assert "NotHeld" in run("executor", "sell", "WETH", "1000", "--pool", pool, "--live").line
    decided(place, run, "set-held", "USDC", "yes")
    assert "Shortfall" in run("executor", "sell", "WETH", "1000000", "--pool", pool, "--live").line
    ended = run("executor", "sell", "WETH", "1000", "--pool", pool, "--live")
    assert "sell all WETH for at least 1000 USDC" in ended.out
    assert place.held(executor) > 2_000 * USD
    assert "Held" in run("executor", "sell", "USDC", "0.1", "--pool", pool, "--live").line
    assert "is not a pool" in run("executor", "sell", "USDC", "1", "--pool", TREASURY, "--live").line
    decided(place, run, "set-held", "WETH", "yes")
    assert decided(place, run, "sell", "USDC", "0.1", "--pool", pool) == "sell all USDC for at least 0.1 WETH"
    assert place.held(executor) == 0


def test_an_executor_of_another_operator_is_refused_at_the_start_in_one_line(place: Place, run: Run) -> None:
    deployed_one(place, run)
    thief = "0x" + dev_key(4).hex()
    ended = run("run", "--live", "--once", KEEPER_PRIVATE_KEY=thief)
    assert ended.code == 2
    assert f"obeys {checksum(SIGNER)}, not the signer" in ended.line
    assert "keeper executor treasury set-operator 0x" in ended.line
    assert run("run", "--live", "--once").code == 0


def test_an_executor_of_version_1_is_refused_everywhere_and_emptied_by_its_owner(place: Place, run: Run) -> None:
    impersonate(place.deployed.node, [SIGNER])
    old = deploy_v1(place.deployed.node, SIGNER, place.deployed.exits.uniswap.factory)
    place.deployed.node.send(place.deployed.mint("USDC", old, 700 * USD))
    place.deployed.write_deployment(place.deployment, old)
    commands = (
        ("run", "--live", "--once"),
        ("plan",),
        ("executor", "show"),
        ("executor", "sweep", "USDC", "1", "--live"),
    )
    for arguments in commands:
        ended = run(*arguments)
        assert ended.code == 2
        assert f"executor {checksum(old)} is of version 1" in ended.line
        assert "docs/executor-migration.md" in ended.line
    ended = run("doctor", "--json")
    assert (ended.code, "is of version 1" in ended.out) == (4, True)

    place.deployed.write_deployment(place.deployment)
    new = deployed_one(place, run)
    assert run("executor", "sweep", "USDC", "all", "--old", checksum(old), "--live").code == 0
    assert (place.held(SIGNER), place.held(old)) == (700 * USD, 0)
    assert (
        "not an executor of version 1" in run("executor", "sweep", "USDC", "1", "--old", checksum(new), "--live").line
    )


def test_a_live_start_without_an_executor_is_refused_in_one_line(place: Place, run: Run) -> None:
    ended = run("run", "--live", "--once")
    assert ended.code == 2
    assert "KEEPER_DEPLOYMENT names no Executor" in ended.err
    assert "keeper executor deploy --factory ADDRESS --treasury ADDRESS --live" in ended.err
    assert run("run", "--once").code == 0


def test_the_doctor_looks_at_the_executor(place: Place, run: Run) -> None:
    assert checks(run)["executor"][0] == "warn"
    assert checks(run, KEEPER_LIVE="true")["executor"][0] == "fail"
    assert run("executor", "deploy", "--factory", place.factory, "--treasury", TREASURY, "--live").code == 0
    found = checks(run)
    assert found["executor: operator"][0] == found["executor: treasury"][0] == found["executor: factory"][0] == "ok"
    verdict, _, action = found["executor: capital"]
    assert (verdict, checksum(place.executor()) in action) == ("warn", True)
    place.deployed.node.send(place.deployed.mint("USDC", place.executor(), 25 * USD))
    verdict, message, action = checks(run)["executor: USDC"]
    assert (verdict, message) == ("warn", "25.00 USDC, least profit 0 USDC; not on the held list")
    assert "set-held USDC yes" in action
    assert found["executor: code"][0] == "ok"
    assert found["executor: gas bound"][1].startswith("no coins may be taken")
    verdict, message, action = checks(run, KEEPER_PRIVATE_KEY="0x" + dev_key(4).hex())["executor: operator"]
    assert (verdict, checksum(SIGNER) in message, "use that signer" in action) == ("fail", True, True)

    code = place.deployed.node.rpc("eth_getCode", checksum(place.executor()), "latest")
    place.deployed.node.rpc("anvil_setCode", checksum(place.executor()), code[:-2] + "01")
    assert checks(run)["executor: code"][0] == "fail"
    place.deployed.write_deployment(place.deployment, place.deployed.contracts["Vault"])
    assert run("doctor", "--json").code == 4
