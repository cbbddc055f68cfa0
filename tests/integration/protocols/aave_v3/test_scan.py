"""`keeper scan` on 300 accounts of real Aave v3 in the middle of a crash: every view is the pool's own, to the wei."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from keeper.cli.main import main
from keeper.model.chain import hexed, unhexed
from keeper.sim.markets.aave_v3 import USER_DATA, VERSIONS
from keeper.sim.markets.aave_v3.market import AaveSimMarket, market_factory, scenario
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node

ACCOUNTS, BLOCKS, DAY = 300, 40, 86_400
LATER = 90 * DAY  # between the two scans


@pytest.fixture(scope="module", params=VERSIONS)
def scanned(request: pytest.FixtureRequest) -> Iterator[tuple[Anvil, AaveSimMarket, Sequence[bytes]]]:
    """A seeded market, half way down, with some who repaid, moved and gave away what they had."""
    with Anvil(mining=False, gas_limit=60_000_000) as anvil:
        market = market_factory(request.param).deploy(Node.at(anvil.url), 1.0)
        assert isinstance(market, AaveSimMarket)
        script = scenario(11, ACCOUNTS, BLOCKS, request.param)
        for start in range(0, ACCOUNTS, 50):
            market.open(script.openings[start : start + 50])
        for step in script.steps[: BLOCKS // 2 : 4]:
            anvil.set_next_timestamp(anvil.timestamp() + DAY)
            market.deployed.node.send(*market.price_transactions(step.prices))
        deployed, leavers = market.deployed, [opening for opening in script.openings if not opening.emode][:12]
        for opening in leavers:
            for symbol, units, mode in opening.borrows:
                deployed.node.send(*deployed.fund(symbol, [opening.account], 2 * units))
                deployed.node.send(deployed.repay(opening.account, symbol, mode=mode))
            symbol, units = opening.supplies[0]
            deployed.node.send(deployed.transfer(opening.account, symbol, script.openings[-1].account, units // 3))
        yield anvil, market, market.accounts(script.openings)


Scan = Callable[..., dict[str, Any]]


@pytest.fixture
def scan(
    scanned: tuple[Anvil, AaveSimMarket, Sequence[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Scan:
    anvil, market, _ = scanned
    for key in [key for key in os.environ if key.startswith("KEEPER_")]:
        monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)
    market.deployed.write_deployment(tmp_path / "deployment.json")
    values = {
        "KEEPER_RPC_URLS": anvil.url,
        "KEEPER_CHAIN_ID": 31337,
        "KEEPER_PROTOCOL": "aave_v3",
        "KEEPER_DEPLOYMENT": tmp_path / "deployment.json",
        "KEEPER_NATIVE_SYMBOL": "WETH",
    }
    (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))

    def call(*arguments: str) -> dict[str, Any]:
        assert main(["scan", "--json", *arguments]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return call


def test_every_account_is_there_and_equals_the_pool_now_and_a_quarter_of_a_year_later(
    scanned: tuple[Anvil, AaveSimMarket, Sequence[bytes]], scan: Scan
) -> None:
    anvil, market, accounts = scanned
    earlier = anvil.block_number()
    anvil.mine(interval_s=LATER)
    for number in (earlier, anvil.block_number()):
        document = scan("--block", str(number))
        assert document["block"]["number"] == number
        found = {unhexed(entry["account"]): entry for entry in document["accounts"]}
        assert set(accounts) <= set(found)
        assert sum(entry["liquidatable"] for entry in found.values()) > 20
        for account, entry in found.items():
            told = market.deployed.user_data(account, number)
            assert entry["views"] == dict(zip(USER_DATA, map(str, told), strict=True)), hexed(account)


def test_a_start_after_the_listings_is_refused_as_it_would_miss_who_came_before(
    scanned: tuple[Anvil, AaveSimMarket, Sequence[bytes]], scan: Scan, capsys: pytest.CaptureFixture[str]
) -> None:
    anvil, _, _ = scanned
    path = Path("deployment.json")
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"start_block": anvil.block_number() - 1}))
    assert main(["scan", "--json"]) == 2
    assert "start_block is later than its deployment" in capsys.readouterr().err
    path.write_text(json.dumps(document))
    assert scan()["accounts"]
