"""A market to measure on: the demo's, on a node of its own, and books of any size that look like it."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keeper.model.health import WAD
from keeper.protocols.base import Protocol, Snapshot
from keeper.protocols.columns import Columns, Writer
from keeper.protocols.registry import load_deployment, load_protocol
from keeper.settings import Settings
from keeper.sim.keeper import CHAIN_ID, DemoFiles, demo_settings, make_signer, prepare
from keeper.sim.markets.margin_engine.deploy import deploy
from keeper.sim.markets.margin_engine.market import EngineSimMarket
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node
from keeper.sim.player import GAS_LIMIT, GWEI, Player
from keeper.sim.scenario import Scenario, build_scenario


@dataclass(frozen=True, slots=True)
class Site:
    """A node with the market on it, and a funded keeper."""

    anvil: Anvil
    player: Player
    scenario: Scenario
    files: DemoFiles
    protocol: Protocol

    def settings(self) -> Settings:
        """Settings of a live keeper of this market."""
        return demo_settings(self.files, self.anvil.ws_url)


@contextmanager
def seeded(accounts: int, blocks: int = 40) -> Iterator[Site]:
    """The demo's market with so many accounts; blocks are mined by `player.step` alone."""
    node = Anvil(mining=False, chain_id=CHAIN_ID, gas_limit=GAS_LIMIT, base_fee=GWEI)
    with node as anvil, tempfile.TemporaryDirectory() as directory:
        files = prepare(Path(directory))
        scenario = build_scenario(1, accounts, blocks)
        calls = Node.at(anvil.url)
        market = deploy(calls)
        keeper = make_signer(files)
        anvil.set_balance(keeper, 1_000 * WAD)
        calls.send(market.mint("USDC", keeper, 100_000_000 * 10**6))
        market.write_deployment(files.deployment)
        player = Player(calls, EngineSimMarket(calls, market), scenario, keeper)
        player.open(lambda *_: None)
        protocol = load_protocol(load_deployment(files.deployment, CHAIN_ID, "margin_engine"))
        yield Site(anvil, player, scenario, files, protocol)


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
