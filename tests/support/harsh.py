"""A market that falls faster than any keeper can restore it: thin margins, steep prices, much to do in few blocks."""

from dataclasses import replace
from pathlib import Path

from keeper.model.health import WAD
from keeper.sim.arena import Arena
from keeper.sim.market import MarketFactory
from keeper.sim.markets.margin_engine.deploy import deploy
from keeper.sim.markets.margin_engine.listing import DEMO
from keeper.sim.markets.margin_engine.market import EngineSimMarket
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node
from keeper.sim.scenario import CrashSpec, Scenario, build_scenario

EngineArena = Arena[EngineSimMarket]

_TIERS = {
    "BTC": ((0, 250), (100_000, 400), (500_000, 600), (2_000_000, 1_000)),
    "ETH": ((0, 250), (100_000, 450), (500_000, 700), (2_000_000, 1_250)),
    "SOL": ((0, 400), (50_000, 600), (250_000, 1_000), (1_000_000, 2_000)),
}
LISTING = replace(
    DEMO,
    markets=tuple(replace(spec, tiers=_TIERS[spec.symbol], initial_factor=2 * WAD) for spec in DEMO.markets),
)


def crash(blocks: int) -> CrashSpec:
    """Two fifths down within half of the blocks, whatever their number; new prices in every block."""
    falling = 0.52 * blocks
    return CrashSpec(
        slope=-0.412 / falling,
        jump=-0.017,
        jump_blocks=max(1, round(falling / 4)),
        every=1,
        noise=0.003,
        crash_share=0.52,
        most_crash_blocks=1_000,
        rebound=0.06,
        least_room=0.09,
        most_room=0.70,
    )


def scenario(seed: int, accounts: int, blocks: int) -> Scenario:
    """The same for the same arguments."""
    return build_scenario(seed, accounts, blocks, LISTING, crash(blocks))


def market(node: Node, _scale: float) -> EngineSimMarket:
    """Deployed; its keeper works for profit, with the usual settings."""
    settings = {"protocol": "margin_engine"}
    return EngineSimMarket(node, deploy(node, LISTING), settings=settings, capital=100_000_000)


def arena(anvil: Anvil, directory: Path, accounts: int = 60, blocks: int = 40, seed: int = 1) -> EngineArena:
    """This market on a node that was started by `arena_node`, with a funded keeper."""
    made = Arena.on(anvil, directory, MarketFactory(scenario, market), accounts, blocks, seed)
    made.fund_keeper()
    return made
