"""Reorgs in the middle of the crash: the book follows the chain, and equals one that was built afresh."""

from pathlib import Path

import pytest

from keeper.book.book import differences
from keeper.book.sync import BookSync
from keeper.chain.connect import connect
from keeper.model.events import BOOK_PARITY_FAILED, HEAD_REORG, TX_MINED
from keeper.protocols.registry import load_deployment, load_protocol
from keeper.sim.arena import arena_node, running
from keeper.sim.keeper import CHAIN_ID
from tests.support import harsh


async def fresh(arena: harsh.EngineArena, number: int) -> BookSync:
    """A book that reads everything up to a block for the first time."""
    async with await connect([arena.anvil.url], CHAIN_ID, 10, lambda _: None) as chain:
        deployment = load_deployment(arena.files.deployment, CHAIN_ID, "margin_engine")
        protocol = load_protocol(deployment)
        sync = BookSync(chain.reader, protocol, deployment.start_block, lambda _: None)
        await sync.advance(await chain.reader.block_by_number(number))
        return sync


@pytest.mark.parametrize("depth", [1, 3, 8])
@pytest.mark.parametrize("pushed", [True, False], ids=["pushed", "polled"])
async def test_after_a_reorg_the_book_equals_a_fresh_sync(tmp_path: Path, depth: int, pushed: bool) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=40, blocks=40)
        url = anvil.ws_url if pushed else anvil.url
        async with running(arena.settings(url, live=True)) as keeper:
            for _ in range(16):
                record = await arena.step()
                await keeper.handled(record.number)
            assert keeper.of(TX_MINED), "the crash must be under way"
            anvil.reorg(depth)
            for _ in range(4):
                record = await arena.step()
                await keeper.handled(record.number)
            assert keeper.of(HEAD_REORG)[0].fields["depth"] >= depth
            assert not keeper.of(BOOK_PARITY_FAILED)
            snapshot = keeper.daemon.decision.snapshot
            assert snapshot is not None
            assert snapshot.block.number == record.number
            again = await fresh(arena, record.number)
            assert differences(snapshot.columns, again.book.columns) == []
            assert snapshot.state == again.book.state
            assert again.book.head == snapshot.block


async def test_a_reorg_deeper_than_the_ring_rebuilds_the_book(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=20, blocks=40)
        async with running(arena.settings(anvil.ws_url, undo_blocks=3)) as keeper:
            for _ in range(10):
                record = await arena.step()
                await keeper.handled(record.number)
            anvil.reorg(8)
            record = await arena.step()
            await keeper.handled(record.number)
            assert "rebuilt" in keeper.of(HEAD_REORG)[-1].message
            snapshot = keeper.daemon.decision.snapshot
            assert snapshot is not None
            again = await fresh(arena, record.number)
            assert differences(snapshot.columns, again.book.columns) == []
            assert snapshot.state == again.book.state
