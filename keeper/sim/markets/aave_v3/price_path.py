"""The crash of a seeded market, block by block: coins fall together, pegged tokens lose their peg and recover."""

import math
from collections.abc import Mapping
from random import Random

from keeper.sim.markets.aave_v3.listing import DEMO, AaveListing
from keeper.sim.scenario import CALM_DEMAND, CrashSpec, ScenarioStep, phases

BETAS = {"WETH": 1.0, "WBTC": 0.9, "wstETH": 1.0, "LINK": 1.15}  # of the market factor, by symbol; none for dollars
DEPEGS = {"wstETH": 0.055, "DAI": 0.045, "sUSD": 0.02}  # the deepest discount, in the middle of the crash
NOISE = {"WETH": 1.0, "WBTC": 1.0, "LINK": 1.5}  # of the weather's own
CRASH = CrashSpec(slope=-0.011, jump=-0.03)
LABELS = {"WETH": "ETH"}
AFTERMATH_LOG_RETURN = -0.16


def by_label(prices: Mapping[str, float]) -> dict[str, float]:
    """Prices by label instead of symbol: the coin that pays for gas is ETH."""
    return {LABELS.get(symbol, symbol): dollars for symbol, dollars in prices.items()}


def by_symbol(prices: Mapping[str, float]) -> dict[str, float]:
    """Prices by symbol instead of label."""
    symbols = {label: symbol for symbol, label in LABELS.items()}
    return {symbols.get(label, label): dollars for label, dollars in prices.items()}


def build_path(
    seed: int, blocks: int, listing: AaveListing = DEMO, weather: CrashSpec = CRASH
) -> tuple[tuple[ScenarioStep, ...], tuple[ScenarioStep, ...]]:
    """(the crash with its calm, a second fall after the demo's keeper has stopped): the same for the same arguments."""
    sky = Random(f"aave path {seed}")  # noqa: S311
    plan = phases(sky, blocks, weather)
    crash = [index for index, (phase, _, _) in enumerate(plan) if phase == "crash"]
    level, prices = 0.0, _prices(listing, sky, 0.0, 0.0, 0.0)
    steps = []
    for index, (phase, factor, demand) in enumerate(plan):
        level += factor
        if index % weather.every == 0:
            prices = _prices(listing, sky, level, _stress(index, crash), weather.noise)
        steps.append(ScenarioStep(prices, demand, phase))
    after = max(4, blocks // 10)
    falls = [level + AFTERMATH_LOG_RETURN * (part + 1) / after for part in range(after)]
    return tuple(steps), tuple(
        ScenarioStep(_prices(listing, sky, fall, 1.0, weather.noise), CALM_DEMAND, "aftermath") for fall in falls
    )


def _stress(index: int, crash: list[int]) -> float:
    """From 0 before the crash to 1 in its middle, and a third of that from its end on."""
    done = (index - crash[0]) / len(crash)
    if done <= 0:
        return 0.0
    return 2 * done if done < 0.5 else max(1 / 3, 1 - (done - 0.5) * 4 / 3)


def _prices(listing: AaveListing, sky: Random, level: float, stress: float, noise: float) -> Mapping[str, float]:
    """Dollars by label, to the feeds' eight decimals."""
    made = {}
    for spec in listing.reserves:
        drift = BETAS.get(spec.symbol, 0.0) * level + sky.gauss(0.0, noise * NOISE.get(spec.symbol, 0.0))
        made[spec.symbol] = spec.dollars * math.exp(drift) * (1 - DEPEGS.get(spec.symbol, 0.0) * stress)
    return by_label({symbol: round(dollars, 8) for symbol, dollars in made.items()})
