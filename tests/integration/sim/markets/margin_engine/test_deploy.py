"""The demo's market on a real node, whatever its way of mining."""

from collections.abc import Callable
from pathlib import Path

import pytest

from keeper.errors import InvariantBroken, OperatorError, Transient
from keeper.model.health import WAD
from keeper.protocols.registry import load_deployment
from keeper.sim.markets.margin_engine.deploy import EngineOpening, artifact, deploy, open_accounts
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, Tx


@pytest.mark.parametrize("mode", [{}, {"mining": False}, {"block_time": 1}], ids=["automine", "by hand", "by time"])
def test_many_accounts_open_in_a_few_blocks(start_anvil: Callable[..., Anvil], mode: dict[str, float]) -> None:
    anvil = start_anvil(**mode)
    node = Node.at(anvil.url)
    market = deploy(node)
    deposits = (("USDC", 5_000 * 10**6), ("WBTC", 10**7), ("WETH", WAD))
    openings = [
        EngineOpening(index.to_bytes(20, "big"), deposits, (("BTC", WAD // 10), ("SOL", -20 * WAD)))
        for index in range(2**64, 2**64 + 60)
    ]
    poor = EngineOpening(b"\x77" * 20, (("USDC", 10**6),), (("ETH", WAD),))
    before = anvil.block_number()
    assert open_accounts(node, market, [*openings, poor]) == [(poor.account, "ETH")]
    assert anvil.block_number() - before < 60
    opened = [log for log in logs(anvil, market.engine, market.start_block) if log["topics"][0] == topic("Traded")]
    assert len(opened) == 120


def logs(anvil: Anvil, engine: bytes, start: int) -> list[dict[str, list[str]]]:
    found: list[dict[str, list[str]]] = anvil.rpc(
        "eth_getLogs", {"address": "0x" + engine.hex(), "fromBlock": hex(start), "toBlock": "latest"}
    )
    return found


def topic(event: str) -> str:
    return "0x" + artifact("MarginEngine")[0].events[event].topic.hex()


def test_the_deployment_file_is_what_the_keeper_reads(anvil: Anvil, tmp_path: Path) -> None:
    market = deploy(Node.at(anvil.url))
    path = tmp_path / "deployment.json"
    market.write_deployment(path)
    deployment = load_deployment(path, 31337, "margin_engine")
    assert deployment.contracts == {"MarginEngine": market.engine}
    [first, *_] = logs(anvil, market.engine, 0)
    assert deployment.start_block == int(str(first["blockNumber"]), 16)


def test_a_set_up_transaction_that_reverts_is_not_passed_over(anvil: Anvil) -> None:
    node = Node.at(anvil.url)
    market = deploy(node)
    with pytest.raises(InvariantBroken, match="reverted"):
        node.send(Tx(market.owner, market.engine, market.call("withdrawPool", 2**200)))


def test_a_node_that_refuses_or_is_not_there_is_a_transient_error(anvil: Anvil) -> None:
    with pytest.raises(Transient, match="no_such_method"):
        Node.at(anvil.url).rpc("no_such_method")
    anvil.stop()
    with pytest.raises(Transient, match="does not answer"):
        Node.at(anvil.url).rpc("eth_chainId")


def test_contracts_that_were_not_built_say_what_to_run() -> None:
    with pytest.raises(OperatorError, match="make contracts"):
        artifact("NothingOfTheKind")
