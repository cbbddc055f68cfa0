"""The commands against a real node: what they print equals the chain, and what they refuse."""

import json
from pathlib import Path

import pytest

from keeper.abi import load_abi
from keeper.model.chain import unhexed
from keeper.model.health import INFINITE_HEALTH
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.options import free_port
from tests.support import harsh
from tests.support.commands import Run

HEALTH = load_abi("MarginEngine").functions["health"]


def _on_chain(arena: harsh.EngineArena, account: str, number: int) -> tuple[int, int]:
    call = {"to": "0x" + arena.market.deployed.engine.hex(), "data": "0x" + HEALTH.encode(account).hex()}
    equity, requirement = HEALTH.decode(unhexed(arena.anvil.rpc("eth_call", call, hex(number))))
    return equity, requirement


def test_scan_equals_the_contracts_view_for_every_account_at_several_blocks(arena: harsh.EngineArena, run: Run) -> None:
    head = int(arena.anvil.rpc("eth_blockNumber"), 16)
    for number in (head, head - 3, head - 10):
        code, out, _ = run("scan", "--json", "--block", str(number))
        document = json.loads(out)
        assert code == 0
        assert document["block"]["number"] == number
        assert document["block"]["hash"] == arena.anvil.rpc("eth_getBlockByNumber", hex(number), False)["hash"]
        assert document["accounts"]
        for entry in document["accounts"]:
            equity, requirement = _on_chain(arena, entry["account"], number)
            assert (int(entry["equity"]), int(entry["requirement"])) == (equity, requirement)
            assert entry["liquidatable"] == (equity < requirement)
            if requirement:
                assert int(entry["health_wad"]) == equity * 10**18 // requirement
            elif equity >= 0:
                assert int(entry["health_wad"]) == INFINITE_HEALTH


def test_scan_lists_the_most_urgent_first(run: Run) -> None:
    accounts = json.loads(run("scan", "--json")[1])["accounts"]
    urgency = [(not entry["liquidatable"], int(entry["health_wad"])) for entry in accounts]
    assert urgency == sorted(urgency)
    assert accounts[0]["liquidatable"]


def test_scan_refuses_a_block_that_is_not_there_yet(run: Run) -> None:
    code, out, err = run("scan", "--block", "1000000")
    assert (code, out) == (2, "")
    assert "--block 1000000" in err


def test_every_unsafe_account_is_planned_or_has_a_reason(run: Run) -> None:
    code, out, _ = run("plan", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["plans"]
    named = [item["account"] for item in (*document["plans"], *document["rejected"])]
    assert len(named) == len(set(named)) == document["unsafe"]


def test_doctor_compares_every_account_and_finds_nothing_wrong(arena: harsh.EngineArena, run: Run) -> None:
    code, out, _ = run("doctor", "--json", KEEPER_PRIVATE_KEY_FILE=arena.files.key)
    document = json.loads(out)
    verdicts = {check["name"]: check["verdict"] for check in document["checks"]}
    assert (code, document["ok"]) == (0, True), document
    assert verdicts["parity"] == verdicts["node 1: simulations"] == "ok"
    assert verdicts["signer: balance"] == "ok"


def test_doctor_ends_with_4_and_what_to_do_when_a_check_fails(
    arena: harsh.EngineArena, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("a file where the directory should be")
    code, out, _ = run("doctor", "--json", KEEPER_RPC_URLS=f"http://127.0.0.1:{free_port()},{arena.anvil.url}")
    failed = {check["name"]: check["action"] for check in json.loads(out)["checks"] if check["verdict"] == "fail"}
    assert code == 4
    assert set(failed) >= {"node 1: answers", "journal"}
    assert all(failed.values())


def test_a_dry_run_handles_a_block_and_status_tells_of_it(run: Run) -> None:
    assert run("run", "--once", KEEPER_LOG_JSON="log.jsonl")[0] == 0
    events = [json.loads(line)["event"] for line in Path("log.jsonl").read_text().splitlines()]
    assert events[0] == "keeper.started"
    assert events[-1] == "keeper.stopped"
    assert "plan.made" in events
    status = json.loads(run("status", "--json")[1])
    assert (status["blocks_seen"], status["live"], status["running"]) == (1, False, False)


def test_a_live_keeper_holds_its_journal_and_txs_and_pnl_tell_of_it(arena: harsh.EngineArena, run: Run) -> None:
    changes = {"KEEPER_PRIVATE_KEY_FILE": arena.files.key, "KEEPER_POLL_INTERVAL_S": 0.05}
    code, _, err = run("run", "--live", "--once", **changes)
    assert code == 0, err
    intents = json.loads(run("txs", "--json", **changes)[1])["intents"]
    assert intents
    assert all(intent["attempts"][0]["hash"].startswith("0x") for intent in intents)
    assert [intent["id"] for intent in intents] == sorted(intent["id"] for intent in intents)
    assert json.loads(run("pnl", "--json", **changes)[1])["sent"] == len(intents)


@pytest.mark.parametrize("command", ["scan", "plan", "run"])
def test_a_node_that_does_not_answer_is_one_line(run: Run, command: str) -> None:
    port = free_port()
    code, out, err = run(command, KEEPER_RPC_URLS=f"http://127.0.0.1:{port}")
    assert (code, out) == (4, "")
    assert len(err.splitlines()) == 1
    assert "KEEPER_RPC_URLS" in err


@pytest.mark.parametrize("command", ["scan", "plan", "run"])
def test_a_wrong_chain_id_is_one_line_with_both(run: Run, tmp_path: Path, command: str) -> None:
    with Anvil(chain_id=4242) as other:
        code, out, err = run(command, KEEPER_RPC_URLS=other.url)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "31337" in err
    assert "4242" in err


@pytest.mark.parametrize("command", ["scan", "plan", "run"])
def test_an_address_without_code_is_one_line(arena: harsh.EngineArena, run: Run, tmp_path: Path, command: str) -> None:
    document = json.loads(arena.files.deployment.read_text())
    document["contracts"]["MarginEngine"] = "0x" + "12" * 20
    (tmp_path / "other.json").write_text(json.dumps(document))
    code, out, err = run(command, KEEPER_DEPLOYMENT=tmp_path / "other.json")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "has no code" in err


def test_live_without_a_signer_is_refused(run: Run) -> None:
    code, _, err = run("run", "--live", "--once")
    assert code == 2
    assert "KEEPER_KEYSTORE_FILE" in err.splitlines()[-1]
