"""`keeper executor` and `keeper doctor` against a real node and real Perpetual Protocol v2."""

import json
import re

import pytest

from keeper.abi import checksum
from keeper.chain.connect import connect
from keeper.cli.executor.deploy import check_transient_storage
from keeper.errors import OperatorError
from keeper.execute.admission.approvals import approval
from keeper.execute.journal.journal import open_journal
from keeper.execute.leadership.file_lock import lock_directory
from keeper.model.chain import BlockRef, unhexed
from keeper.model.intent import IntentState
from keeper.model.plan import Policy
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask
from keeper.sim.node.options import dev_key
from tests.support.executor_cli import SIGNER, TREASURY, USD, Place, Run, checks, place, run

__all__ = ["place", "run"]


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
