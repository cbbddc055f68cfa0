"""What the operator and the treasury of an executor may do through `keeper executor`, on a real node."""

import asyncio
import json
import re

import pytest

from keeper.abi import checksum
from keeper.app.execution import Leader
from keeper.app.session import open_session
from keeper.app.signers import signer_of
from keeper.cli.options import settings_from
from keeper.errors import OperatorError
from keeper.execute.signing.local import from_private_key
from keeper.execute.tx.crash_points import no_hook
from keeper.model.chain import unhexed
from keeper.sim.node.artifacts import ask
from keeper.sim.node.client import Tx, impersonate
from keeper.sim.node.options import dev_key
from tests.support.executor_cli import SIGNER, TREASURY, USD, Place, Run, checks, decided, deployed_one, place, run
from tests.support.executor_v1 import deploy_v1

__all__ = ["place", "run"]

STRANGER = checksum(from_private_key("0x" + dev_key(6).hex()).address)


def test_only_the_operator_sweeps(place: Place, run: Run) -> None:
    assert run("executor", "deploy", "--factory", place.factory, "--treasury", TREASURY, "--live").code == 0
    place.deployed.node.send(place.deployed.mint("USDC", place.executor(), USD))
    other = "0x" + dev_key(4).hex()
    ended = run("executor", "sweep", "USDC", "1", "--live", KEEPER_PRIVATE_KEY=other)
    assert ended.code == 4
    assert "not sent, the transaction would revert: NotOperator" in ended.err
    assert place.held(place.executor()) == USD


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


def test_an_executor_of_a_strangers_treasury_fails_in_the_doctor_and_is_refused_live(place: Place, run: Run) -> None:
    assert run("executor", "deploy", "--factory", place.factory, "--treasury", STRANGER, "--live").code == 0
    verdict, message, action = checks(run, KEEPER_TREASURY=TREASURY)["executor: treasury"]
    assert (verdict, STRANGER in message, TREASURY in message) == ("fail", True, True)
    assert "do not fund it" in action
    assert checks(run, KEEPER_TREASURY=TREASURY, KEEPER_PRIVATE_KEY="")["executor: treasury"][0] == "fail"
    ended = run("run", "--live", "--once", KEEPER_TREASURY=TREASURY)
    assert ended.code == 2
    assert (
        f"KEEPER_TREASURY is {TREASURY}, but executor {checksum(place.executor())} belongs to {STRANGER}" in ended.line
    )
    assert checks(run, KEEPER_TREASURY=STRANGER.lower())["executor: treasury"][:2] == (
        "ok",
        f"its capital belongs to {STRANGER}; as KEEPER_TREASURY says",
    )
    assert run("run", "--live", "--once", KEEPER_TREASURY=STRANGER).code == 0
    assert "KEEPER_TREASURY is not set" in checks(run)["executor: treasury"][1]


def test_a_contract_with_a_factory_is_no_executor_for_a_live_run(place: Place, run: Run) -> None:
    pool = place.deployed.exits.pools["WETH", "USDC", 500]
    place.deployed.write_deployment(place.deployment, pool)
    ended = run("run", "--live", "--once")
    assert ended.code == 2
    assert f"Executor {checksum(pool)} is not the keeper's executor contract" in ended.line


def test_the_doctor_warns_of_a_factory_that_is_not_the_markets(place: Place, run: Run) -> None:
    other, node = "0x" + "fac7" * 10, place.deployed.node
    node.rpc("anvil_setCode", other, node.rpc("eth_getCode", place.factory, "latest"))
    assert run("executor", "deploy", "--factory", other, "--treasury", TREASURY, "--live").code == 0
    verdict, message, _ = checks(run)["executor: factory"]
    assert (verdict, place.factory in message) == ("warn", True)


def test_a_keeper_whose_operator_was_replaced_does_not_take_over(place: Place, run: Run) -> None:
    deployed_one(place, run)
    decided(place, run, "set-operator", STRANGER)
    settings = settings_from(place.directory / ".env")

    async def take_over() -> None:
        session = await open_session(settings, lambda _: None)
        try:
            leader = Leader(settings, session, signer_of(settings), lambda _: None, no_hook, 8.0)
            await leader.lead(leader.open_journal())
        finally:
            await session.chain.close()

    with pytest.raises(OperatorError, match=f"obeys {STRANGER}, not the signer"):
        asyncio.run(take_over())


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
