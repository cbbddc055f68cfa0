"""A market that falls faster than any keeper can restore it: thin margins, steep prices, much to do in few blocks."""

from dataclasses import replace

from keeper.model.health import WAD
from keeper.sim.markets.margin_engine.listing import DEMO
from keeper.sim.scenario import CrashSpec

_TIERS = {
    "BTC": ((0, 250), (100_000, 400), (500_000, 600), (2_000_000, 1_000)),
    "ETH": ((0, 250), (100_000, 450), (500_000, 700), (2_000_000, 1_250)),
    "SOL": ((0, 400), (50_000, 600), (250_000, 1_000), (1_000_000, 2_000)),
}
LISTING = replace(
    DEMO,
    markets=tuple(replace(spec, tiers=_TIERS[spec.symbol], initial_factor=2 * WAD) for spec in DEMO.markets),
)


def weather(blocks: int) -> CrashSpec:
    """Two fifths down within half of the blocks, whatever their number; new prices in every block."""
    crash = 0.52 * blocks
    return CrashSpec(
        slope=-0.412 / crash,
        jump=-0.017,
        jump_blocks=max(1, round(crash / 4)),
        every=1,
        noise=0.003,
        crash_share=0.52,
        most_crash_blocks=1_000,
        rebound=0.06,
        least_room=0.09,
        most_room=0.70,
    )
