"""`keeper plan` decides by the same code as the daemon: each thing that holds one back holds the other."""

import asyncio
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from keeper import __version__
from keeper.abi import checksum
from keeper.app.daemon import Daemon
from keeper.execute.journal.journal import open_journal
from keeper.execute.signing.local import LocalSigner, from_private_key
from keeper.model.chain import Call, unhexed
from keeper.model.fees import Fees
from keeper.model.intent import TxRequest
from keeper.observe.status import Status, write_status
from keeper.protocols.executor import AaveLiquidation, Batch, Swap
from keeper.protocols.executor.batching import BATCH
from keeper.settings import Settings
from tests.support import harsh
from tests.support.commands import Run

ANYONE = bytes(range(20))


@pytest.fixture
def signed(arena: harsh.EngineArena) -> dict[str, Any]:
    """Settings of a keeper with a signer."""
    return {"KEEPER_PRIVATE_KEY_FILE": arena.files.key}


def plan(run: Run, **changes: Any) -> dict[str, Any]:
    code, out, err = run("plan", "--json", **changes)
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def planned(document: dict[str, Any]) -> list[str]:
    return [item["account"] for item in document["plans"]]


def reasons(document: dict[str, Any]) -> dict[str, str]:
    return {item["account"]: item["reason"] for item in document["rejected"]}


async def test_it_plans_what_the_daemon_decides(arena: harsh.EngineArena, run: Run) -> None:
    daemon = Daemon(arena.settings(live=False, data_dir=arena.files.directory / "dry"), lambda _: None)
    await daemon.run(asyncio.Event(), blocks=1)
    assert daemon.decision is not None
    document = await asyncio.to_thread(plan, run)
    assert document["block"]["number"] == daemon.decision.block.number
    # The last word is the deadline: each knows other blocks to expect the next one by.
    decided = {checksum(item.account): item.call.data[:-32] for item in daemon.decision.plans}
    assert {item["account"]: unhexed(item["data"])[:-32] for item in document["plans"]} == decided
    assert reasons(document) == {checksum(item.account): str(item.reason) for item in daemon.decision.rejected}


def test_an_account_over_a_limit_takes_nobodys_place(run: Run, signed: dict[str, Any]) -> None:
    wanted = planned(plan(run, **signed, KEEPER_MAX_IN_FLIGHT=2))
    assert len(wanted) == 2
    document = plan(run, **signed, KEEPER_MAX_IN_FLIGHT=2, KEEPER_DENY_ACCOUNTS=wanted[0])
    assert reasons(document)[wanted[0]] == "limit"
    assert wanted[0] not in planned(document)
    assert len(planned(document)) == 2
    document = plan(run, **signed, KEEPER_MAX_NOTIONAL_USD="0.01")
    assert planned(document) == []
    assert {reasons(document)[account] for account in wanted} == {"limit"}


def test_accounts_of_a_batch_in_flight_are_left_alone(
    arena: harsh.EngineArena, run: Run, signed: dict[str, Any], tmp_path: Path
) -> None:
    wanted = planned(plan(run, **signed))
    assert wanted
    journal_of_a_batch(arena, tmp_path / "data", [unhexed(account) for account in wanted])
    document = plan(run, **signed)
    assert planned(document) == []
    assert {reasons(document)[account] for account in wanted} == {"in_flight"}


def test_another_signers_transactions_in_the_same_journal_hold_nothing_back(
    arena: harsh.EngineArena, run: Run, signed: dict[str, Any], tmp_path: Path
) -> None:
    wanted = planned(plan(run, **signed))
    other = from_private_key("0x" + "11" * 32)
    journal_of_a_batch(arena, tmp_path / "data", [unhexed(account) for account in wanted], other)
    assert planned(plan(run, **signed)) == wanted


def test_a_journal_that_cannot_be_read_is_no_empty_journal(
    arena: harsh.EngineArena, run: Run, signed: dict[str, Any], tmp_path: Path
) -> None:
    journal_of_a_batch(arena, tmp_path / "data", [ANYONE])
    with sqlite3.connect(tmp_path / "data" / "keeper.db") as database:
        database.execute("update schema_version set version = 99")
    for command in (("plan", "--json"), ("kill", "--wait", "0")):
        code, out, err = run(*command, **signed)
        assert (code, "version 99" in err) == (2, True), command
        assert "no transaction is in flight" not in out


def journal_of_a_batch(
    arena: harsh.EngineArena, data_dir: Path, accounts: list[bytes], signer: LocalSigner | None = None
) -> None:
    """A journal in which one transaction that was never signed liquidates all the accounts."""
    signer = signer or from_private_key(arena.files.key.read_text())
    orders = [AaveLiquidation(ANYONE, account, ANYONE, ANYONE, 1, False, Swap(), 0) for account in accounts]
    batch = Batch(tuple((order.data(), 500_000) for order in orders), ANYONE, 0)
    journal = open_journal(
        Settings.model_fields["database_url"].default.get_secret_value(), data_dir, signer.address, 31337
    )
    try:
        journal.reserve([(_request(batch.data()), 0)])
    finally:
        journal.close()


def _request(data: bytes) -> TxRequest:
    return TxRequest(
        account=ANYONE,
        kind=BATCH,
        subject="",
        size=1,
        call=Call(ANYONE, data),
        gas_limit=1_000_000,
        fees=Fees(1, 1),
        bid=10**9,
        value_wad=0,
        planned_block=0,
        deadline_block=10**6,
    )


def test_an_open_breaker_holds_every_plan_with_its_reason(run: Run, signed: dict[str, Any]) -> None:
    wanted = planned(plan(run, **signed))
    run("kill", "--wait", "0", **signed)
    document = plan(run, **signed)
    assert planned(document) == []
    held = {item["account"]: item["message"] for item in document["rejected"] if item["reason"] == "hold"}
    assert set(wanted) <= set(held)
    assert all("kill" in message for message in held.values())


def test_a_price_that_deviates_from_its_reference_holds_its_accounts(arena: harsh.EngineArena, run: Run) -> None:
    wanted = planned(plan(run))
    feeds = {label: checksum(feed) for label, feed in arena.market.deployed.feeds.items()}
    wrong = dict(zip(feeds, [*list(feeds.values())[1:], next(iter(feeds.values()))], strict=True))
    document = plan(run, KEEPER_REFERENCE_FEEDS=",".join(f"{label}={feed}" for label, feed in wrong.items()))
    assert wanted
    assert planned(document) == []
    assert {reasons(document)[account] for account in wanted} == {"hold"}


@pytest.mark.parametrize("running", [True, False])
def test_what_a_running_keeper_leaves_alone_for_a_while_is_left_alone(
    arena: harsh.EngineArena, run: Run, signed: dict[str, Any], tmp_path: Path, running: bool
) -> None:
    document = plan(run, **signed)
    first, *others = document["plans"]
    signer = checksum(from_private_key(arena.files.key.read_text()).address)
    status = Status(__version__, os.getpid(), True, "margin_engine", 31337, signer, started_at=0.0)
    status.cooling = {first["account"]: 10**9}
    bad = {f"{item['kind']} {item['subject']}" for item in others}
    status.quarantined = dict.fromkeys(bad, "its token is paused")
    status.stopped = "" if running else "asked to stop"
    (tmp_path / "data").mkdir(exist_ok=True)
    write_status(tmp_path / "data", status)
    after = plan(run, **signed)
    if not running:
        assert planned(after) == planned(document)
        return
    assert reasons(after)[first["account"]] == "cooling_down"
    assert bad
    assert not bad & {f"{item['kind']} {item['subject']}" for item in after["plans"]}
