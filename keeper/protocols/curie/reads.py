"""What no log announces, read in one bulk read a block: parameters, pools, funding, fee growth, feeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi.exceptions import DecodingError

from keeper.abi import load_abi
from keeper.defi import chainlink, erc20, uniswap_reads
from keeper.defi.proxies import bits, signed_bits, words
from keeper.defi.uniswap_oracle import FIRST_SLOT, Ring, observation_of
from keeper.defi.uniswap_v3 import PoolState
from keeper.model.chain import Call, CallResult, storage_read
from keeper.protocols.curie import storage
from keeper.protocols.curie.contracts import CORE, Contracts
from keeper.protocols.curie.state import CurieMarket, CurieSource, CurieState

_AROUND = load_abi("ICurieMarket").functions
_REACH = 3_000  # ticks around the price in which pools for collaterals are read: about 35 %
MOST_SLOTS = 4_096  # of a pool's ring that are read
OPEN, PAUSED, CLOSED = range(3)  # IBaseToken.Status
_PARAMETERS = {  # field -> (contract, getter)
    "im_ratio": ("config", "getImRatio"),
    "mm_ratio": ("config", "getMmRatio"),
    "penalty_ratio": ("config", "getLiquidationPenaltyRatio"),
    "max_funding_rate": ("config", "getMaxFundingRate"),
    "twap_interval": ("config", "getTwapInterval"),
    "balance_cap": ("config", "getSettlementTokenBalanceCap"),
    "mm_buffer": ("collateral_manager", "getMmRatioBuffer"),
    "debt_ratio": ("collateral_manager", "getDebtNonSettlementTokenValueRatio"),
    "liquidation_ratio": ("collateral_manager", "getLiquidationRatio"),
    "fund_fee_ratio": ("collateral_manager", "getCLInsuranceFundFeeRatio"),
    "debt_threshold": ("collateral_manager", "getDebtThreshold"),
    "dust": ("collateral_manager", "getCollateralValueDust"),
    "house_paused": ("clearing_house", "paused"),
    "vault_paused": ("vault", "paused"),
}


@dataclass(frozen=True, slots=True)
class CurieParameters:
    """What governance set. Ratios in millionths, intervals in seconds, amounts in settlement token units."""

    im_ratio: int
    mm_ratio: int
    penalty_ratio: int
    max_funding_rate: int
    twap_interval: int
    balance_cap: int
    mm_buffer: int
    debt_ratio: int
    liquidation_ratio: int
    fund_fee_ratio: int
    debt_threshold: int
    dust: int
    house_paused: int
    vault_paused: int
    mark_twap_interval: int
    premium_interval: int
    fund_wallet: int  # settlement token units that the insurance fund itself holds
    vault_wallet: int  # and those of the Vault


@dataclass(frozen=True, slots=True)
class FeedReading:
    """A ChainlinkPriceFeedV3 and its aggregator. Prices in the feed's decimals, times in seconds."""

    newest: int  # index of the newest observation
    first_at: int  # time of the observation in the first place, the oldest while the ring is not full
    cached: int  # TWAP
    cached_at: int
    cached_interval: int
    last_price: int
    last_time: int
    answered: bool  # latestRoundData and decimals did
    decimals: int
    round: int
    answer: int
    updated_at: int
    through_uniswap: bool  # the dispatcher may turn to a Uniswap pool


@dataclass(frozen=True, slots=True)
class MarketReading:
    """One market's pool, funding and status. Premium growths X96, fee growth X128."""

    status: int
    paused_price: int
    paused_at: int
    closed_price: int
    sqrt_price: int
    tick: int
    cardinality: int
    liquidity: int
    ring: Ring  # of the pool's observations
    last_tick: int
    first_traded: int
    last_settled: int
    premium: int
    divided: int
    max_ticks: int
    ticked_at: int
    fee_growth: int
    outside: Mapping[int, tuple[int, int, int]]  # tick -> fee, premium and divided premium growth outside of it
    exchange_fee: int  # of the executor where there is one
    pool_fee: int
    fund_fee: int
    max_spread: int


@dataclass(frozen=True, slots=True)
class CollateralReading:
    """What governance set for a collateral. Ratios in millionths."""

    ratio: int
    discount: int


@dataclass(frozen=True, slots=True)
class CurieReadings:
    """One block's answers; unreadable ones are missing, or listed in `problems`."""

    parameters: CurieParameters | None = None
    markets: Mapping[int, MarketReading] = field(default_factory=dict)
    feeds: Mapping[bytes, FeedReading] = field(default_factory=dict)  # by what is asked
    collaterals: Mapping[int, CollateralReading] = field(default_factory=dict)
    exits: Mapping[int, tuple[PoolState, ...]] = field(default_factory=dict)  # by token
    problems: Mapping[int, str] = field(default_factory=dict)  # market -> why it cannot be computed
    memo: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)  # by timestamp


def sources(state: CurieState) -> list[CurieSource]:
    """Every usable source, once."""
    listed = (*(market.source for market in state.markets), *(token.source for token in state.tokens))
    return list({source.asked: source for source in listed if source and not source.problem}.values())


def reads(contracts: Contracts, state: CurieState, trader: bytes) -> list[Call]:
    """`trader`: the account whose fees apply, empty for the default fees."""
    calls = [Call(getattr(contracts, holder), CORE[getter].encode()) for holder, getter in _PARAMETERS.values()]
    calls.append(Call(contracts.config, CORE["getMarkPriceConfig"].encode()))
    calls += [erc20.balance_of(contracts.settlement, who) for who in (contracts.insurance_fund, contracts.vault)]
    for market in state.markets:
        calls += _market_calls(contracts, state, market, trader)
    for source in sources(state):
        calls += _feed_calls(source)
    for token in state.tokens[1:]:
        calls.append(Call(contracts.collateral_manager, CORE["getCollateralConfig"].encode(token.address)))
        calls += [uniswap_reads.around(pool.address, _REACH) for pool in token.exits]
    return calls


def _market_calls(contracts: Contracts, state: CurieState, market: CurieMarket, trader: bytes) -> list[Call]:
    fees = CORE["getMarketInfoByTrader"].encode(trader, market.base) if trader else b""
    slots = min(state.rings.get(market.pool, 1), MOST_SLOTS)
    return [
        Call(contracts.registry, fees or CORE["getMarketInfo"].encode(market.base)),
        storage_read(market.base, storage.BASE_SLOTS),
        storage_read(contracts.exchange, storage.exchange_slots(market.base)),
        storage_read(contracts.order_book, storage.growth_slots(market.base, ticks_of(state, market))),
        Call(market.pool, _AROUND["slot0"].encode()),
        Call(market.pool, _AROUND["liquidity"].encode()),
        storage_read(market.pool, range(FIRST_SLOT, FIRST_SLOT + slots)),
    ]


def ticks_of(state: CurieState, market: CurieMarket) -> list[int]:
    """Ticks at which makers' orders begin or end."""
    return sorted(state.ticks.get(market.id, ()))


def _feed_calls(source: CurieSource) -> list[Call]:
    asked = [
        storage_read(source.feed, storage.FEED_SLOTS),
        chainlink.latest(source.aggregator),
        Call(source.aggregator, chainlink.DECIMALS),
    ]
    return [*asked, Call(source.asked, _AROUND["getUniswapV3PriceFeed"].encode())] if source.dispatched else asked


def decode_reads(state: CurieState, results: Sequence[CallResult]) -> CurieReadings:
    """An unreadable market is listed in `problems`; an unreadable feed is missing."""
    answers = iter(results)
    parameters = _parameters(answers)
    markets, problems = {}, {}
    for market in state.markets:
        parts = [next(answers) for _ in range(7)]
        try:
            markets[market.id] = _market(state, market, parts)
        except (ValueError, IndexError, DecodingError) as error:
            problems[market.id] = f"{market.symbol or 'a market'} cannot be read: {error}"
    feeds = {source.asked: reading for source in sources(state) if (reading := _feed(source, answers))}
    collaterals, exits = {}, {}
    for token in state.tokens[1:]:
        if known := _collateral(next(answers)):
            collaterals[token.id] = known
        states = [uniswap_reads.state_of(pool, next(answers)) for pool in token.exits]
        exits[token.id] = tuple(found for found in states if found)
    return CurieReadings(parameters, markets, feeds, collaterals, exits, problems)


def _parameters(answers: Iterator[CallResult]) -> CurieParameters | None:
    values = {name: erc20.amount_of(next(answers)) for name in _PARAMETERS}
    intervals = next(answers)
    fund, vault = (erc20.amount_of(next(answers)) for _ in range(2))
    known = {name: value for name, value in values.items() if value is not None}
    if len(known) != len(values) or not intervals.ok or len(intervals.data) != 64 or fund is None or vault is None:
        return None
    mark, premium = words(intervals)
    return CurieParameters(
        **known, mark_twap_interval=mark, premium_interval=premium, fund_wallet=fund, vault_wallet=vault
    )


def _market(state: CurieState, market: CurieMarket, found: list[CallResult]) -> MarketReading:
    if any(not result.ok for result in found):
        raise ValueError("a read failed")
    _, exchange_fee, pool_fee, fund_fee, spread = words(found[0])
    status, paused_price, paused_at, closed_price = words(found[1])
    last_tick, first, settled, premium, divided, max_ticks, ticked_at = words(found[2])
    fee_growth, *outside = words(found[3])
    sqrt_price, tick, newest, cardinality, *_ = _AROUND["slot0"].decode(found[4].data)
    ring = words(found[6])
    if cardinality > len(ring):
        raise ValueError(f"its pool keeps {cardinality} observations, {len(ring)} were read")
    observations = {place: observation_of(word) for place, word in enumerate(ring[:cardinality])}
    ticks = ticks_of(state, market)
    growths = {
        at: (outside[3 * i], signed_bits(outside[3 * i + 1], 0, 256), signed_bits(outside[3 * i + 2], 0, 256))
        for i, at in enumerate(ticks)
    }
    return MarketReading(
        status=bits(status, 168, 8),
        paused_price=paused_price,
        paused_at=paused_at,
        closed_price=closed_price,
        sqrt_price=sqrt_price,
        tick=tick,
        cardinality=cardinality,
        liquidity=words(found[5])[0],
        ring=Ring(observations, newest, cardinality, tick),
        last_tick=signed_bits(last_tick, 0, 24),
        first_traded=first,
        last_settled=settled,
        premium=signed_bits(premium, 0, 256),
        divided=signed_bits(divided, 0, 256),
        max_ticks=bits(max_ticks, 0, 24),
        ticked_at=ticked_at,
        fee_growth=fee_growth,
        outside=growths,
        exchange_fee=exchange_fee,
        pool_fee=pool_fee,
        fund_fee=fund_fee,
        max_spread=spread,
    )


def _feed(source: CurieSource, answers: Iterator[CallResult]) -> FeedReading | None:
    stored, latest, decimals = (next(answers) for _ in range(3))
    through_uniswap = source.dispatched and chainlink.address_of(next(answers)) is not None
    if not stored.ok:
        return None
    newest, first_at, cached, cached_at, last_price, last_time = words(stored)
    answer, known = words(latest) if latest.ok and len(latest.data) == 160 else None, chainlink.decimals_of(decimals)
    answered = answer is not None and known is not None
    round_, price, _, updated_at, _ = answer if answer is not None and answered else (0, 0, 0, 0, 0)
    return FeedReading(
        newest=bits(newest, 0, 16),
        first_at=first_at,
        cached=cached,
        cached_at=bits(cached_at, 0, 160),
        cached_interval=bits(cached_at, 160, 80),
        last_price=last_price,
        last_time=last_time,
        answered=answered,
        decimals=known or 0,
        round=round_,
        answer=signed_bits(price, 0, 256),
        updated_at=updated_at,
        through_uniswap=through_uniswap,
    )


def _collateral(result: CallResult) -> CollateralReading | None:
    if not result.ok or len(result.data) != 128:
        return None
    _, ratio, discount, _ = words(result)
    return CollateralReading(ratio, discount)
