"""A scenario from one seed: the accounts that are opened, and the path of prices and of block space."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from eth_utils.crypto import keccak

from keeper.model.health import WAD
from keeper.sim.markets.margin_engine.deploy import EngineOpening
from keeper.sim.markets.margin_engine.listing import DEMO, EngineListing, EngineMarketSpec

LONG_SHARE = 0.75
WHALE_SHARE = 0.08
SQUEEZED_PACE = 0.2
AFTERMATH_LOG_RETURN = -0.13
MOST_MARGIN_USE = 0.92  # of the initial margin that the protocol allows
BETAS = {"BTC": 0.9, "ETH": 1.0, "SOL": 1.12}
CALM_DEMAND, CRASH_DEMAND, LATE_DEMAND = 0.5, 0.65, 0.12
SQUEEZE_DEMAND = 1.0


@dataclass(frozen=True, slots=True)
class CrashSpec:
    """How far the market falls, and how close to liquidation accounts are. Log returns of the market factor.

    `every`: blocks from one report of the feeds to the next; prices stand still in between, as with real feeds.
    A longer path has no faster and, from `most_crash_blocks` on, no deeper crash, but more calm around it.
    """

    slope: float = -0.006  # a block of the crash
    jump: float = -0.018  # on top of it
    jump_blocks: int = 11  # of the crash, from one jump to the next
    every: int = 2
    noise: float = 0.0015  # of each price, a report
    crash_share: float = 0.7  # of all blocks
    most_crash_blocks: int = 34
    rebound: float = 0.03
    least_room: float = 0.04  # the move against an account that brings it to its maintenance margin
    most_room: float = 0.55


CRASH = CrashSpec()


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """One block. `demand`: share of the block's gas that other people's better-paying transactions take."""

    prices: Mapping[str, float]  # dollars, by feed
    demand: float
    phase: str  # "calm", "crash", "rebound", "aftermath"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that depends on the seed. `aftermath`: a second, smaller fall after the demo's keeper has stopped."""

    seed: int
    openings: tuple[Any, ...]  # as the protocol's market opens them
    steps: tuple[ScenarioStep, ...]
    aftermath: tuple[ScenarioStep, ...]


def build_scenario(
    seed: int, accounts: int, blocks: int, listing: EngineListing = DEMO, weather: CrashSpec = CRASH
) -> Scenario:
    """The same for the same arguments, on every machine."""
    people, sky = Random(f"accounts {seed}"), Random(f"path {seed}")  # noqa: S311
    openings = tuple(_opening(people, seed, index, listing, weather) for index in range(accounts))
    prices = {label: float(dollars) for label, (_, dollars) in listing.feeds.items()}
    steps, aftermath = price_path(sky, blocks, prices, weather)
    return Scenario(seed, openings, steps, aftermath)


def maintenance(spec: EngineMarketSpec, notional: float) -> float:
    """Maintenance margin in dollars: the contract's brackets in floats, for choosing leverage only."""
    floor, rate, offset = next(tier for tier in reversed(spec.brackets()) if tier[0] <= notional * WAD)
    assert floor >= 0
    return notional * rate / WAD - offset / WAD


# Accounts.


def _opening(chance: Random, seed: int, index: int, listing: EngineListing, weather: CrashSpec) -> EngineOpening:
    """One account: what it deposits, and positions of a size that a random move makes unsafe."""
    whale = chance.random() < WHALE_SHARE
    wealth = chance.lognormvariate(math.log(400_000), 0.6) if whale else chance.lognormvariate(math.log(9_000), 0.9)
    wealth = min(max(wealth, 3_000), 2_500_000)
    deposits, equity = _deposits(chance, wealth, listing)
    room = chance.uniform(weather.least_room, weather.most_room)
    markets = chance.sample(listing.markets, chances(chance, (0.68, 0.24, 0.08)[: len(listing.markets)]) + 1)
    shares = _shares(chance, len(markets))
    total = _notional(markets, shares, equity, room)
    trades = []
    for spec, share in zip(markets, shares, strict=True):
        notional = max(total * share, 4 * spec.min_notional)
        size = int(notional / listing.feeds[spec.feed][1] * WAD) // spec.step * spec.step
        if size:
            trades.append((spec.symbol, size if chance.random() < LONG_SHARE else -size))
    account = keccak(text=f"demo account {seed} {index}")[-20:]
    return EngineOpening(account, tuple(deposits), tuple(trades))


def _deposits(chance: Random, wealth: float, listing: EngineListing) -> tuple[list[tuple[str, int]], float]:
    """Deposits worth `wealth` dollars, and what they count as equity."""
    kinds = [(listing.settlement, listing.settlement_decimals, 1.0, 1.0)]
    kinds += [(c.symbol, c.decimals, float(listing.feeds[c.feed][1]), c.weight / WAD) for c in listing.collaterals]
    chosen = chance.sample(kinds, chances(chance, (0.55, 0.3, 0.15)[: len(kinds)]) + 1)
    deposits, equity = [], 0.0
    for (symbol, decimals, price, weight), share in zip(chosen, _shares(chance, len(chosen)), strict=True):
        deposits.append((symbol, max(1, int(wealth * share / price * 10**decimals))))
        equity += wealth * share * weight
    return deposits, equity


def _notional(markets: Sequence[EngineMarketSpec], shares: Sequence[float], equity: float, room: float) -> float:
    """The notional of all positions, split by shares, which a move by `room` against them makes unsafe.

    Less where the initial margin would not allow it.
    """

    def fits(total: float) -> bool:
        parts = [(spec, total * share) for spec, share in zip(markets, shares, strict=True)]
        left = equity - sum(part * spec.trading_fee / WAD for spec, part in parts)
        initial = sum(maintenance(spec, part) * spec.initial_factor / WAD for spec, part in parts)
        after = sum(maintenance(spec, part * (1 - room)) for spec, part in parts)
        return initial <= left * MOST_MARGIN_USE and after <= left - total * room

    low, high = 0.0, equity * 100
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _shares(chance: Random, count: int) -> list[float]:
    """Random positive shares that add up to one."""
    raw = [chance.uniform(0.25, 1.0) for _ in range(count)]
    return [part / sum(raw) for part in raw]


def chances(chance: Random, odds: Sequence[float]) -> int:
    """An index, drawn with these odds."""
    return chance.choices(range(len(odds)), odds)[0]


# Prices and block space.


def price_path(
    chance: Random, blocks: int, prices: Mapping[str, float], weather: CrashSpec
) -> tuple[tuple[ScenarioStep, ...], tuple[ScenarioStep, ...]]:
    """Calm, a crash with jumps in which blocks fill up, a small rebound, calm again; and a second, smaller fall."""
    plan = phases(chance, blocks, weather)
    steps, unreported = [], 0.0
    for index, (phase, factor, demand) in enumerate(plan):
        unreported += factor
        if index % weather.every == 0:
            prices, unreported = _moved(chance, prices, unreported, weather.noise), 0.0
        steps.append(ScenarioStep(prices, demand, phase))
    return tuple(steps), _aftermath(chance, prices, max(4, blocks // 10), weather)


def phases(chance: Random, blocks: int, weather: CrashSpec) -> list[tuple[str, float, float]]:
    """(phase, return of the market factor, demand for block space) of each block."""
    crash = max(3, min(round(blocks * weather.crash_share), weather.most_crash_blocks))
    rebound = max(1, crash // 5)
    calm = max(2, (blocks - crash - rebound) * 2 // 5)
    late = max(1, blocks - calm - crash - rebound)
    jumps = max(3, round(crash / weather.jump_blocks))
    jumping = {crash * (2 * part + 1) // (2 * jumps) for part in range(jumps)}
    squeeze = {crash // 3, crash // 3 + 1}
    plan = [("calm", 0.0, CALM_DEMAND)] * calm
    for index in range(crash):
        # Prices fall more slowly while nobody gets a transaction in.
        pace = SQUEEZED_PACE if {index, index - 1} & squeeze else 1.0
        drop = weather.slope * pace * chance.uniform(0.7, 1.3) + (weather.jump if index in jumping else 0.0)
        plan.append(("crash", drop, SQUEEZE_DEMAND if index in squeeze else CRASH_DEMAND))
    plan += [("rebound", weather.rebound / rebound, 0.4)] * rebound
    return plan + [("calm", 0.0, LATE_DEMAND)] * late


def _aftermath(
    chance: Random, prices: Mapping[str, float], blocks: int, weather: CrashSpec
) -> tuple[ScenarioStep, ...]:
    steps = []
    for _ in range(blocks):
        prices = _moved(chance, prices, AFTERMATH_LOG_RETURN / blocks, weather.noise)
        steps.append(ScenarioStep(prices, CALM_DEMAND, "aftermath"))
    return tuple(steps)


def _moved(chance: Random, prices: Mapping[str, float], factor: float, noise: float) -> dict[str, float]:
    """The next report of each feed: the market factor times its beta, plus noise."""
    return {
        label: round(price * math.exp(BETAS.get(label, 1.0) * factor + chance.gauss(0.0, noise)), 6)
        for label, price in prices.items()
    }
