"""Folds the engine's logs into its state and the accounts' columns. The state comes from logs alone."""

from collections.abc import Callable
from dataclasses import replace

from eth_abi.exceptions import DecodingError

from keeper.abi import AbiEvent, load_abi
from keeper.errors import InvariantBroken
from keeper.model.chain import Log
from keeper.protocols.columns import Writer
from keeper.protocols.margin_engine.state import (
    BALANCES,
    POSITIONS,
    SETTLEMENT,
    Bracket,
    Collateral,
    EngineMarket,
    EngineSource,
    EngineState,
    MarketRules,
)

_EVENTS = load_abi("MarginEngine").events
_WORD = 32

AccountHandler = Callable[[EngineState, Log, Writer], None]
StateHandler = Callable[[EngineState, Log], EngineState]


def fold(state: EngineState, log: Log, writer: Writer) -> EngineState:
    """Apply one log of the engine; other logs change nothing.

    Raises InvariantBroken when it cannot be decoded or names a market or collateral that was never listed.
    """
    topic = log.topics[0] if log.topics else b""
    try:
        if on_account := _ACCOUNT_HANDLERS.get(topic):
            on_account(state, log, writer)
        elif on_state := _STATE_HANDLERS.get(topic):
            return on_state(state, log)
    except (IndexError, ValueError, OverflowError, DecodingError) as error:
        where = f"log {log.index} of block {log.block_number}"
        raise InvariantBroken(f"{where} of MarginEngine cannot be decoded: {error!r}") from error
    return state


def _words(data: bytes, count: int) -> tuple[int, ...]:
    """`count` signed words, exactly. It decodes the frequent events faster than eth_abi."""
    if len(data) != count * _WORD:
        raise ValueError(f"{len(data)} bytes instead of {count * _WORD}")
    return tuple(int.from_bytes(data[at : at + _WORD], "big", signed=True) for at in range(0, count * _WORD, _WORD))


def _settlement_changed(_state: EngineState, log: Log, writer: Writer) -> None:
    writer.put(BALANCES, log.topics[1][12:], SETTLEMENT, _words(log.data, 1))


def _collateral_changed(state: EngineState, log: Log, writer: Writer) -> None:
    collateral = state.collaterals[int.from_bytes(log.topics[2], "big")]
    writer.put(BALANCES, log.topics[1][12:], collateral.id, _words(log.data, 1))


def _position_changed(state: EngineState, log: Log, writer: Writer) -> None:
    market = state.markets[int.from_bytes(log.topics[2], "big")]
    writer.put(POSITIONS, log.topics[1][12:], market.id, _words(log.data, 3))


def _market_changed(state: EngineState, log: Log) -> EngineState:
    old = state.markets[int.from_bytes(log.topics[1], "big")]
    long_size, short_size, index, time = _words(log.data, 4)
    return _with_market(
        state, EngineMarket(old.id, old.name, old.rules, old.brackets, long_size, short_size, index, time)
    )


def _funds_changed(state: EngineState, log: Log) -> EngineState:
    pool, fund = _words(log.data, 2)
    return EngineState(
        state.collaterals, state.markets, pool, fund, state.max_post_health, state.debt_limit, state.paused
    )


def _limits_configured(state: EngineState, log: Log) -> EngineState:
    max_post_health, debt_limit = _words(log.data, 2)
    return replace(state, max_post_health=max_post_health, debt_limit=debt_limit)


def _collateral_listed(state: EngineState, log: Log) -> EngineState:
    (id_,), (token, decimals, symbol) = _event("CollateralListed").decode(log)
    if id_ != len(state.collaterals):
        raise ValueError(f"collateral id {id_} instead of {len(state.collaterals)}")
    return replace(state, collaterals=(*state.collaterals, Collateral(id_, bytes.fromhex(token[2:]), symbol, decimals)))


def _collateral_configured(state: EngineState, log: Log) -> EngineState:
    (id_,), ((feed, heartbeat, weight, discount, *_), feed_decimals) = _event("CollateralConfigured").decode(log)
    collateral = state.collaterals[id_]
    source = None if id_ == SETTLEMENT else _source(feed, heartbeat, feed_decimals)
    changed = replace(collateral, source=source, weight=weight, discount=discount)
    return replace(state, collaterals=_replaced(state.collaterals, id_, changed))


def _market_listed(state: EngineState, log: Log) -> EngineState:
    (id_,), (name,) = _event("MarketListed").decode(log)
    if id_ != len(state.markets):
        raise ValueError(f"market id {id_} instead of {len(state.markets)}")
    label = name.rstrip(b"\0").decode("utf-8", errors="replace")
    return replace(state, markets=(*state.markets, EngineMarket(id_, label)))


def _market_configured(state: EngineState, log: Log) -> EngineState:
    (id_,), (params, feed_decimals) = _event("MarketConfigured").decode(log)
    feed, heartbeat, _, _, penalty, keeper_share, max_rate, skew_scale, _, block_cap, min_notional, step = params
    source = _source(feed, heartbeat, feed_decimals)
    rules = MarketRules(source, penalty, keeper_share, max_rate, skew_scale, block_cap, min_notional, step)
    return _with_market(state, replace(state.markets[id_], rules=rules))


def _brackets_configured(state: EngineState, log: Log) -> EngineState:
    (id_,), (tiers,) = _event("BracketsConfigured").decode(log)
    brackets = tuple(Bracket(*tier) for tier in tiers)
    return _with_market(state, replace(state.markets[id_], brackets=brackets))


def _paused(state: EngineState, _log: Log) -> EngineState:
    return replace(state, paused=True)


def _unpaused(state: EngineState, _log: Log) -> EngineState:
    return replace(state, paused=False)


def _event(name: str) -> AbiEvent:
    return _EVENTS[name]


def _source(feed: str, heartbeat: int, decimals: int) -> EngineSource:
    return EngineSource(bytes.fromhex(feed[2:]), heartbeat, 10 ** (18 - decimals))


def _with_market(state: EngineState, market: EngineMarket) -> EngineState:
    markets = (*state.markets[: market.id], market, *state.markets[market.id + 1 :])
    return EngineState(
        state.collaterals,
        markets,
        state.pool,
        state.insurance_fund,
        state.max_post_health,
        state.debt_limit,
        state.paused,
    )


def _replaced(items: tuple[Collateral, ...], index: int, item: Collateral) -> tuple[Collateral, ...]:
    return (*items[:index], item, *items[index + 1 :])


_ACCOUNT_HANDLERS: dict[bytes, AccountHandler] = {
    _EVENTS["SettlementChanged"].topic: _settlement_changed,
    _EVENTS["CollateralChanged"].topic: _collateral_changed,
    _EVENTS["PositionChanged"].topic: _position_changed,
}
_STATE_HANDLERS: dict[bytes, StateHandler] = {
    _EVENTS["MarketChanged"].topic: _market_changed,
    _EVENTS["FundsChanged"].topic: _funds_changed,
    _EVENTS["LimitsConfigured"].topic: _limits_configured,
    _EVENTS["CollateralListed"].topic: _collateral_listed,
    _EVENTS["CollateralConfigured"].topic: _collateral_configured,
    _EVENTS["MarketListed"].topic: _market_listed,
    _EVENTS["MarketConfigured"].topic: _market_configured,
    _EVENTS["BracketsConfigured"].topic: _brackets_configured,
    _EVENTS["Paused"].topic: _paused,
    _EVENTS["Unpaused"].topic: _unpaused,
}
TOPICS = (*_ACCOUNT_HANDLERS, *_STATE_HANDLERS)
