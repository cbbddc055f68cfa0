"""Real Perpetual Protocol v2: a scan equals the contracts, and the daemon takes what pays of a crash.

CURIE_ACCOUNTS says how many accounts the scanned market has.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from keeper.cli.main import main
from keeper.model.events import BOOK_PARITY_FAILED
from keeper.sim.arena import Arena, arena_node, running
from keeper.sim.checks import check_books, settle
from keeper.sim.keeper import capacity
from keeper.sim.markets.curie.market import CAPITAL_DOLLARS, MARKET_FACTORY, CurieSimMarket
from keeper.sim.node.artifacts import ask

ACCOUNTS = int(os.environ.get("CURIE_ACCOUNTS", "40"))
BLOCKS = 20
# Prices fall by 2 % in each block here, which takes more of a reward than the usual bound.
FOR_PROFIT: dict[str, Any] = {
    "live": True, "min_profit_usd": 0, "max_slip": 1, "bad_debt_weight": 0, **capacity(300)
}  # fmt: skip


def fallen(market: CurieSimMarket, share: float) -> dict[str, float]:
    """The first prices less a share."""
    return {label: price * (1 - share) for label, price in market.prices.items()}


def on_chain(arena: Arena[CurieSimMarket], account: str, block: int) -> dict[str, Any]:
    """What the contracts' own views say, as the scan shows it."""
    at, node, who = arena.market.deployed.contracts, arena.anvil, bytes.fromhex(account[2:])
    value, requirement, seizable = (
        ask(arena.market.deployed.node, at[name], f"{view}(address)", who, returns=[kind], block=block)
        for name, view, kind in (
            ("ClearingHouse", "getAccountValue", "int256"),
            ("AccountBalance", "getMarginRequirementForLiquidation", "int256"),
            ("Vault", "isLiquidatable", "bool"),
        )
    )
    assert node.block_number() >= block
    return {
        "getAccountValue": str(value),
        "getMarginRequirementForLiquidation": str(requirement),
        "isLiquidatable": seizable,
        "liquidatable": value < requirement or seizable,
    }


def test_a_scan_of_the_seeded_market_equals_the_contracts_for_every_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in [key for key in os.environ if key.startswith("KEEPER_")]:
        monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)
    with arena_node() as anvil:
        arena = Arena.on(anvil, tmp_path / "market", MARKET_FACTORY, ACCOUNTS, BLOCKS)
        arena.market.deployed.write_deployment(arena.files.deployment)
        for share in (0.04, 0.08, 0.12, 0.16, 0.16, 0.16):
            asyncio.run(arena.at_prices(fallen(arena.market, share)))
        values = {
            "KEEPER_RPC_URLS": anvil.url,
            "KEEPER_CHAIN_ID": 31337,
            "KEEPER_PROTOCOL": "curie",
            "KEEPER_DEPLOYMENT": arena.files.deployment,
            "KEEPER_DATA_DIR": tmp_path / "data",
        }
        (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        assert main(["scan", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        found = {
            entry["account"]: {**entry["views"], "liquidatable": entry["liquidatable"]}
            for entry in document["accounts"]
        }
        opened = {opening.account for opening in arena.scenario.openings}
        assert opened <= {bytes.fromhex(account[2:]) for account in found}
        assert found == {account: on_chain(arena, account, document["block"]["number"]) for account in found}
        assert any(entry["liquidatable"] for entry in document["accounts"])


async def fall(arena: Arena[CurieSimMarket], most: int) -> int:
    """The market falls by a sixth under a keeper's eyes; blocks after that until it had taken all that pays."""
    async with running(arena.settings(**FOR_PROFIT)) as keeper:
        await keeper.handled(arena.anvil.block_number())
        for part in range(1, 9):
            record = await arena.at_prices(fallen(arena.market, part / 50))
            await keeper.handled(record.number)
        taken = await settle(arena, keeper, most)
        assert not keeper.of(BOOK_PARITY_FAILED)
    check_books(arena)
    return taken


async def test_nothing_that_pays_is_left_with_plenty_or_with_a_twentieth_of_it(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = Arena.on(anvil, tmp_path / "plenty", MARKET_FACTORY, 30, BLOCKS)
        arena.fund_keeper(CAPITAL_DOLLARS)
        await fall(arena, most=40)
        assert {intent.kind for intent in arena.mined()} == {"liquidate", "liquidate_collateral"}
        needed = sum(sum(intent.spends.values()) for intent in arena.mined()) // 10**6
    with arena_node() as anvil:
        arena = Arena.on(anvil, tmp_path / "little", MARKET_FACTORY, 30, BLOCKS)
        arena.fund_keeper(needed // 20)
        await fall(arena, most=60)
        assert len(arena.mined()) > 5


async def test_a_fork_of_the_seeded_node_is_cleared_likewise(tmp_path: Path) -> None:
    with arena_node() as seeded:
        origin = Arena.on(seeded, tmp_path, MARKET_FACTORY, 20, BLOCKS)
        origin.fund_keeper(CAPITAL_DOLLARS)
        with arena_node(fork_url=seeded.url) as anvil:
            arena = origin.forked(anvil)
            await fall(arena, most=40)
            assert arena.mined()
