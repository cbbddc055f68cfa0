"""A market to measure on: the demo's, on a node of its own, and books of any size that look like it."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keeper.protocols.base import Protocol, Snapshot
from keeper.protocols.columns import Columns, Writer
from keeper.protocols.registry import load_deployment, load_protocol
from keeper.sim.arena import Arena, arena_node
from keeper.sim.keeper import CHAIN_ID
from keeper.sim.markets.margin_engine.market import MARKET_FACTORY, EngineSimMarket

KEEPER_DOLLARS = 100_000_000


@dataclass(frozen=True, slots=True)
class Site:
    """The demo's market with open accounts and a funded keeper, and the adapter for it."""

    arena: Arena[EngineSimMarket]
    protocol: Protocol


@contextmanager
def seeded(accounts: int, blocks: int = 40) -> Iterator[Site]:
    """The demo's market with so many accounts; only `arena.player.step` mines blocks."""
    with arena_node() as anvil, tempfile.TemporaryDirectory() as directory:
        arena = Arena.on(anvil, Path(directory), MARKET_FACTORY, accounts, blocks)
        arena.fund_keeper(KEEPER_DOLLARS)
        protocol = load_protocol(load_deployment(arena.files.deployment, CHAIN_ID, "margin_engine"))
        yield Site(arena, protocol)


def multiplied(snapshot: Snapshot, protocol: Protocol, accounts: int) -> Snapshot:
    """The same market with so many accounts: each holds what one of the snapshot's accounts holds."""
    chance = random.Random(1)
    columns = Columns(protocol.tables)
    writer = Writer(columns)
    models = [snapshot.columns.holdings(row) for row in range(len(snapshot.columns))]
    for index in range(accounts):
        address = chance.randbytes(20)
        for table, rows in models[index % len(models)].items():
            for asset, values in rows:
                writer.put(table, address, asset, values)
        writer.undo.clear()
    return Snapshot(snapshot.block, snapshot.state, columns, snapshot.readings)
