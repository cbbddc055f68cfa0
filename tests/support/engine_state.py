"""Builds states, books and readings of the margin engine without a chain."""

from collections.abc import Mapping, Sequence

from eth_abi.abi import encode

from keeper.abi import load_abi
from keeper.model.chain import BlockRef, Log
from keeper.model.health import WAD
from keeper.protocols.base import Deployment, Snapshot
from keeper.protocols.columns import Columns, Writer
from keeper.protocols.margin_engine import MarginEngineProtocol
from keeper.protocols.margin_engine.reads import EngineReadings, FeedAnswer
from keeper.protocols.margin_engine.simulate import Closing, EngineLiquidation
from keeper.protocols.margin_engine.state import (
    BALANCES,
    POSITIONS,
    TABLES,
    Bracket,
    Collateral,
    EngineHoldings,
    EngineMarket,
    EngineSource,
    EngineState,
    MarketRules,
)

ENGINE = b"\xe1" * 20
USDC, WETH = b"\xc0" * 20, b"\xc1" * 20
ETH_FEED, WETH_FEED = b"\xfe" * 20, b"\xfd" * 20
NOW = 1_750_000_000
PROTOCOL = MarginEngineProtocol(Deployment("margin_engine", 31337, 0, {"MarginEngine": ENGINE}))


def brackets(*tiers: tuple[int, int]) -> tuple[Bracket, ...]:
    """(floor in dollars, rate in 1e18), with the offsets that make the margin continuous."""
    made: list[Bracket] = []
    for floor, rate in tiers:
        offset = made[-1].offset + floor * (rate - made[-1].rate) if made else 0
        made.append(Bracket(floor * WAD, rate, offset))
    return tuple(made)


def market(
    id_: int = 0,
    tiers: Sequence[tuple[int, int]] = ((0, WAD // 20),),
    feed: bytes = ETH_FEED,
    penalty: int = WAD // 100,
    keeper_share: int = WAD // 2,
    block_cap: int = 10**9,
    min_notional: int = 50,
    step: int = WAD // 1_000,
    **totals: int,
) -> EngineMarket:
    """A market; caps and limits in dollars."""
    rules = MarketRules(
        source=EngineSource(feed, 3_600, 10**10),
        penalty=penalty,
        keeper_share=keeper_share,
        max_funding_rate=WAD // 20,
        skew_scale=1_000 * WAD,
        block_cap=block_cap * WAD,
        min_notional=min_notional * WAD,
        step=step,
    )
    return EngineMarket(id_, f"M{id_}", rules, brackets(*tiers), funding_time=NOW, **totals)


def state(*markets: EngineMarket) -> EngineState:
    """An engine with a settlement token and one collateral."""
    collaterals = (
        Collateral(0, USDC, "USDC", 6, weight=WAD),
        Collateral(1, WETH, "WETH", 18, EngineSource(WETH_FEED, 3_600, 10**10), 88 * WAD // 100, WAD // 20),
    )
    return EngineState(
        collaterals,
        markets or (market(),),
        insurance_fund=10**6 * WAD,
        max_post_health=125 * WAD // 100,
        debt_limit=10_000 * WAD,
    )


def readings(prices: Mapping[bytes, float] | None = None, updated_at: int = NOW) -> EngineReadings:
    """Feeds of 8 decimals at prices in dollars."""
    wanted = {ETH_FEED: 1_000.0, WETH_FEED: 1_000.0} if prices is None else prices
    return EngineReadings({feed: FeedAnswer(round(price * 10**8), updated_at) for feed, price in wanted.items()})


def liquidated(engine: EngineState, holdings: EngineHoldings, market_id: int, size: int) -> EngineLiquidation:
    """What closing a size does now, whether or not it is allowed."""
    closing = Closing.of(engine, readings(), holdings, market_id, NOW)
    return closing.settle(closing.outcome(size))


def snapshot(
    engine: EngineState,
    accounts: Mapping[bytes, EngineHoldings],
    prices: EngineReadings | None = None,
    timestamp: int = NOW,
) -> Snapshot:
    """A book that holds these accounts."""
    columns = Columns(TABLES)
    writer = Writer(columns)
    for address, holdings in accounts.items():
        writer.put(BALANCES, address, 0, (holdings.settlement,))
        for id_, amount in holdings.collaterals:
            writer.put(BALANCES, address, id_, (amount,))
        for id_, held in holdings.positions:
            writer.put(POSITIONS, address, id_, (held.size, held.cost, held.funding))
    block = BlockRef(7, b"\x07" * 32, b"\x06" * 32, timestamp)
    return Snapshot(block, engine, columns, readings() if prices is None else prices)


def log(name: str, *values: object, address: bytes = ENGINE) -> Log:
    """A log with its indexed values first, as the engine would emit it."""
    event = load_abi("MarginEngine").events[name]
    indexed, plain = values[: len(event.indexed)], values[len(event.indexed) :]
    topics = tuple(encode([kind], [value]) for kind, value in zip(event.indexed, indexed, strict=True))
    return Log(address, (event.topic, *topics), encode(event.plain, plain), 5, b"\x05" * 32, 3)
