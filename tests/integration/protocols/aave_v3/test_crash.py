"""The daemon on real Aave v3 in a fall of a fifth: what pays is taken, with whatever means there are."""

from pathlib import Path
from typing import Any

import pytest

from keeper.abi import checksum
from keeper.model.events import BOOK_PARITY_FAILED, FUNDS_LOW
from keeper.sim.arena import Arena, arena_node, running
from keeper.sim.checks import check_books, settle
from keeper.sim.keeper import capacity
from keeper.sim.markets.aave_v3 import V3_0_2, V3_6
from keeper.sim.markets.aave_v3.checks import covered_dollars
from keeper.sim.markets.aave_v3.market import AaveSimMarket, market_factory

ACCOUNTS, BLOCKS = 60, 20
FALLEN = {"ETH": 0.82, "WBTC": 0.84, "wstETH": 0.80, "DAI": 0.975, "LINK": 0.80, "USDC": 1.0, "sUSD": 1.0}
LIVE: dict[str, Any] = {"live": True, **capacity(300)}


def fallen(market: AaveSimMarket, part: float) -> dict[str, float]:
    """The first prices, a part of the way down to what the crash makes of them."""
    return {label: price * (1 - part * (1 - FALLEN[label])) for label, price in market.prices.items()}


async def clear(arena: Arena[AaveSimMarket], parts: tuple[float, ...], most: int, **changes: Any) -> int:
    """Let the market fall, a part of the way in each block, under a keeper's eyes; blocks until it had done all."""
    async with running(arena.settings(**LIVE, **changes)) as keeper:
        await keeper.handled(arena.anvil.block_number())
        for part in parts:
            record = await arena.at_prices(fallen(arena.market, part))
            await keeper.handled(record.number)
        taken = await settle(arena, keeper, most)
        assert not keeper.of(BOOK_PARITY_FAILED)
    check_books(arena)
    return taken


@pytest.mark.parametrize("version", [V3_0_2, V3_6])
async def test_nothing_that_pays_is_left_and_the_journal_is_the_balance(version: str, tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = Arena.on(anvil, tmp_path, market_factory(version), ACCOUNTS, BLOCKS)
        arena.fund_keeper(50_000)
        await clear(arena, tuple(part / 8 for part in range(1, 9)), most=10)
        assert len(arena.mined()) > 10


async def test_a_twentieth_of_the_capital_does_it_over_several_blocks_and_flash_loans_at_once(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = Arena.on(anvil, tmp_path / "flash", market_factory(V3_6), 16, BLOCKS, seed=2)
        arena.fund_keeper(0)
        at_once = await clear(arena, (1.0,), most=6)
        needed, count = covered_dollars(arena.market.deployed), len(arena.mined())
    with arena_node() as anvil:
        arena = Arena.on(anvil, tmp_path / "own", market_factory(V3_6), 16, BLOCKS, seed=2)
        borrowed = {symbol for opening in arena.scenario.openings for symbol, _, _ in opening.borrows}
        arena.fund_keeper(int(needed / 20 / len(borrowed)))
        recycled = await clear(arena, (1.0,), most=60, flash_loans=False)
        assert len(arena.mined()) >= count
    assert 3 * at_once < recycled


async def test_a_fork_of_the_seeded_node_is_cleared_likewise(tmp_path: Path) -> None:
    with arena_node() as seeded:
        origin = Arena.on(seeded, tmp_path, market_factory(V3_0_2), 30, BLOCKS, seed=3)
        origin.fund_keeper(50_000)
        with arena_node(fork_url=seeded.url) as anvil:
            arena = origin.forked(anvil)
            await clear(arena, (0.5, 1.0), most=10)
            assert arena.mined()


async def test_an_executor_without_capital_is_named_with_the_token_that_it_lacks(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = Arena.on(anvil, tmp_path, market_factory(V3_6), 16, BLOCKS, seed=2)
        arena.fund_keeper(0)
        async with running(arena.settings(**LIVE, flash_loans=False)) as keeper:
            await keeper.handled(arena.anvil.block_number())
            for _ in range(3):
                record = await arena.at_prices(fallen(arena.market, 1.0))
                await keeper.handled(record.number)
            low = keeper.of(FUNDS_LOW)
    reserves = {checksum(item.token) for item in arena.market.deployed.reserves.values()}
    assert low
    assert {event.fields["holder"] for event in low} == {checksum(arena.market.executor)}
    assert {event.fields["token"] for event in low} <= reserves
    assert all(event.fields["balance"] == "0" and int(event.fields["needed"]) > 0 for event in low)
    assert all(event.message.endswith("fund the executor") for event in low)
    assert len(low) == len({event.fields["token"] for event in low}), "each token is reported once"
