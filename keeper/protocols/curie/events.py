"""Folds logs: listings go into the state, and each account that a log names is read again.

Holdings are read from storage, not summed from logs: sums would miss balances that settle to zero and positions written
off as dust.
"""

from collections.abc import Callable
from dataclasses import replace

from eth_utils.crypto import keccak

from keeper.abi import load_abi
from keeper.errors import InvariantBroken
from keeper.model.chain import Log
from keeper.protocols.columns import Writer
from keeper.protocols.curie.contracts import Contracts
from keeper.protocols.curie.state import (
    ORDERS,
    POSITIONS,
    SETTLEMENT,
    CurieMarket,
    CurieState,
    CurieToken,
    Observations,
    Range,
)

_CORE = load_abi("ICurie").events
_AROUND = load_abi("ICurieMarket").events
_ASK_FEED = keccak(text="getPriceFeed()")[:4]
_MOST_OBSERVATIONS = 1800  # CumulativeTwap.MAX_OBSERVATION
_WORD = 32

FEED_UPDATED = _AROUND["ChainlinkPriceUpdated"].topic
TOPICS = tuple(event.topic for event in (*_CORE.values(), *_AROUND.values()))

Handler = Callable[["Fold"], CurieState]


class Fold:
    """One log and what it is folded into."""

    def __init__(self, contracts: Contracts, state: CurieState, log: Log, writer: Writer) -> None:
        self.contracts, self.state, self.log, self.writer = contracts, state, log, writer

    def address(self, topic: int) -> bytes:
        """The address in an indexed parameter."""
        return self.log.topics[topic][12:]

    def word(self, index: int) -> int:
        """A signed word of the data."""
        at = index * _WORD
        if len(self.log.data) < at + _WORD:
            raise ValueError(f"{len(self.log.data)} bytes of data")
        return int.from_bytes(self.log.data[at : at + _WORD], "big", signed=True)

    def market(self, topic: int) -> CurieMarket:
        """The listed market in an indexed parameter."""
        market = self.state.market_of(self.address(topic))
        if market is None:
            raise ValueError("it names a market that was never listed")
        return market


def initial_state(contracts: Contracts) -> CurieState:
    settlement = CurieToken(SETTLEMENT, contracts.settlement, contracts.symbol, contracts.decimals)
    return CurieState(tokens=(settlement,))


def fold(contracts: Contracts, state: CurieState, log: Log, writer: Writer) -> CurieState:
    """Apply one log. Raises InvariantBroken when one of the protocol's cannot be decoded."""
    handler = _HANDLERS.get((_home(contracts, log.address), log.topics[0] if log.topics else b""))
    if handler is None:
        return state
    try:
        return handler(Fold(contracts, state, log, writer))
    except (IndexError, ValueError, OverflowError) as error:
        where = f"log {log.index} of block {log.block_number}"
        raise InvariantBroken(f"{where} of Perpetual Protocol cannot be decoded: {error!r}") from error


def _home(contracts: Contracts, address: bytes) -> str:
    """The name of the core contract that emitted the log; empty when it is a token, a feed or a pool."""
    names = ("clearing_house", "vault", "account_balance", "registry", "collateral_manager")
    return next((name for name in names if getattr(contracts, name) == address), "")


def _touched(topic: int) -> Handler:
    def handle(fold: Fold) -> CurieState:
        fold.writer.touch(fold.address(topic))
        return fold.state

    return handle


def _position(fold: Fold) -> CurieState:
    trader, market = fold.address(1), fold.market(2)
    fold.writer.put(POSITIONS, trader, market.id, fold.writer.get(POSITIONS, trader, market.id))
    return fold.state


def _to_fund(topic: int) -> Handler:
    """Marks the insurance fund, too: the event changes its balance."""

    def handle(fold: Fold) -> CurieState:
        fold.writer.touch(fold.contracts.insurance_fund)
        fold.writer.touch(fold.address(topic))
        return fold.state

    return handle


def _threshold(fold: Fold) -> CurieState:
    fold.writer.touch(fold.log.data[12:_WORD])
    return fold.state


def _liquidity(fold: Fold) -> CurieState:
    state, maker, market = fold.state, fold.address(1), fold.market(2)
    lower, upper, change = fold.word(0), fold.word(1), fold.word(4)
    place = Range(market.id, lower, upper)
    ranges = state.ranges if place in state.ranges else (*state.ranges, place)
    id_ = ranges.index(place)
    fold.writer.put(ORDERS, maker, id_, fold.writer.get(ORDERS, maker, id_))
    held = {**state.orders.get(maker, {})}
    held[id_] = held.get(id_, 0) + change
    if not held[id_]:
        del held[id_]
    orders = {**state.orders, maker: held}
    if not held:
        del orders[maker]
    ticks = dict(state.ticks.get(market.id, {}))
    for tick, sign in ((lower, 1), (upper, -1)):
        gross, net = ticks.get(tick, (0, 0))
        ticks[tick] = gross + change, net + sign * change
        if not ticks[tick][0]:
            del ticks[tick]
    return replace(state, ranges=ranges, orders=orders, ticks={**state.ticks, market.id: ticks})


def _owned(fold: Fold) -> CurieState:
    first = not any(fold.address(1))
    return replace(fold.state, born=True) if first else fold.state


def _pool_added(fold: Fold) -> CurieState:
    market = CurieMarket(len(fold.state.markets), fold.address(1), fold.address(3))
    return replace(fold.state, markets=(*fold.state.markets, market))


def _collateral_added(fold: Fold) -> CurieState:
    token = CurieToken(len(fold.state.tokens), fold.address(1))
    return replace(fold.state, tokens=(*fold.state.tokens, token))


def _collateral_feed(fold: Fold) -> CurieState:
    """The collateral's feed changed: facts about the old one are dropped."""
    tokens = tuple(
        replace(token, source=None) if token.address == fold.address(1) else token for token in fold.state.tokens
    )
    return replace(_forgetting(fold.state, fold.contracts.collateral_manager, fold.log.topics[1]), tokens=tokens)


def _market_feed(fold: Fold) -> CurieState:
    state, base = fold.state, fold.log.address
    markets = tuple(replace(market, source=None) if market.base == base else market for market in state.markets)
    return replace(_forgetting(state, base, b""), markets=markets)


def _forgetting(state: CurieState, contract: bytes, argument: bytes) -> CurieState:
    """The state without facts about a replaced feed."""
    facts = {
        call: answer
        for call, answer in state.facts.items()
        if not (call.to == contract and (call.data[4:] == argument if argument else call.data == _ASK_FEED))
    }
    return replace(state, facts=facts)


def _feed_updated(fold: Fold) -> CurieState:
    """`CumulativeTwap._update` with what the feed now holds as its last valid price."""
    state, feed, price, time = fold.state, fold.log.address, fold.word(0), fold.word(1)
    known = state.observations.get(feed, Observations())
    if not known.times:
        made = Observations((time,), (price,), (0,), 1) if time else known
    elif price == known.prices[-1] or time < known.times[-1]:
        made = known
    else:
        cumulative = known.cumulatives[-1] + known.prices[-1] * (time - known.times[-1])
        made = Observations(
            (*known.times, time)[-_MOST_OBSERVATIONS:],
            (*known.prices, price)[-_MOST_OBSERVATIONS:],
            (*known.cumulatives, cumulative)[-_MOST_OBSERVATIONS:],
            known.count + 1,
        )
    return state if made is known else replace(state, observations={**state.observations, feed: made})


def _ring_grown(fold: Fold) -> CurieState:
    return replace(fold.state, rings={**fold.state.rings, fold.log.address: fold.word(1)})


_HANDLERS: dict[tuple[str, bytes], Handler] = {
    ("clearing_house", _CORE["PositionChanged"].topic): _position,
    ("clearing_house", _CORE["PositionClosed"].topic): _position,
    ("clearing_house", _CORE["LiquidityChanged"].topic): _liquidity,
    ("clearing_house", _CORE["FundingPaymentSettled"].topic): _touched(1),
    ("account_balance", _CORE["PnlRealized"].topic): _touched(1),
    ("vault", _CORE["Deposited"].topic): _touched(2),
    ("vault", _CORE["Withdrawn"].topic): _touched(2),
    ("vault", _CORE["CollateralLiquidated"].topic): _to_fund(1),
    ("vault", _CORE["BadDebtSettled"].topic): _to_fund(1),
    ("registry", _CORE["OwnershipTransferred"].topic): _owned,
    ("registry", _CORE["PoolAdded"].topic): _pool_added,
    ("collateral_manager", _CORE["CollateralAdded"].topic): _collateral_added,
    ("collateral_manager", _CORE["PriceFeedChanged"].topic): _collateral_feed,
    ("collateral_manager", _CORE["WhitelistedDebtThresholdChanged"].topic): _threshold,
    ("", _AROUND["PriceFeedChanged"].topic): _market_feed,
    ("", FEED_UPDATED): _feed_updated,
    ("", _AROUND["IncreaseObservationCardinalityNext"].topic): _ring_grown,
}
