"""The daemon on real Aave v3 in a fall of a fifth: what pays is taken, with whatever means there are."""

from pathlib import Path
from typing import Any

import pytest

from keeper.model.events import BOOK_PARITY_FAILED
from keeper.sim.markets.aave_v3 import V3_0_2, V3_6
from tests.support.aave_arena import AaveArena
from tests.support.arena import arena_node, running

ACCOUNTS = 60


async def clear(arena: AaveArena, parts: tuple[float, ...], most: int, **changes: Any) -> int:
    """Let the market fall, a part of the way in each block, under a keeper's eyes; blocks until it had done all."""
    async with running(arena.settings(**changes)) as keeper:
        await keeper.handled(arena.anvil.block_number())
        for part in parts:
            record = await arena.step(arena.fallen(part))
            await keeper.handled(record.number)
        taken = await arena.settle(keeper, most)
        assert not keeper.of(BOOK_PARITY_FAILED)
    arena.check_books()
    return taken


@pytest.mark.parametrize("version", [V3_0_2, V3_6])
async def test_nothing_that_pays_is_left_and_the_journal_is_the_balance(version: str, tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = AaveArena.on(anvil, tmp_path, version, ACCOUNTS)
        arena.fund_keeper(50_000)
        await clear(arena, tuple(part / 8 for part in range(1, 9)), most=10)
        assert len(arena.mined()) > 10


async def test_a_twentieth_of_the_capital_does_it_over_several_blocks_and_flash_loans_at_once(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = AaveArena.on(anvil, tmp_path / "flash", V3_6, 16, seed=2)
        arena.fund_keeper(0)
        at_once = await clear(arena, (1.0,), most=6)
        needed, count = arena.covered_dollars(), len(arena.mined())
    with arena_node() as anvil:
        arena = AaveArena.on(anvil, tmp_path / "own", V3_6, 16, seed=2)
        borrowed = {symbol for opening in arena.scenario.openings for symbol, _, _ in opening.borrows}
        arena.fund_keeper(needed / 20 / len(borrowed))
        recycled = await clear(arena, (1.0,), most=60, flash_loans=False)
        assert len(arena.mined()) >= count
    assert 3 * at_once < recycled


async def test_a_fork_of_the_seeded_node_is_cleared_likewise(tmp_path: Path) -> None:
    with arena_node() as seeded:
        origin = AaveArena.on(seeded, tmp_path, V3_0_2, 30, seed=3)
        origin.fund_keeper(50_000)
        with arena_node(fork_url=seeded.url) as anvil:
            arena = origin.forked(anvil)
            await clear(arena, (0.5, 1.0), most=10)
            assert arena.mined()
