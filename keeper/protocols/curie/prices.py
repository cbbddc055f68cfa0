"""Prices for people and guards: index prices of markets and collaterals, at the newest answer."""

from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.protocols.base import PriceReading, Snapshot
from keeper.protocols.curie.feeds import latest
from keeper.protocols.curie.reads import CurieReadings
from keeper.protocols.curie.state import SETTLEMENT, CurieSource, CurieState
from keeper.protocols.curie.view import view_at


def price_readings(state: CurieState, readings: CurieReadings, timestamp: int) -> list[PriceReading]:
    """One for each market and each collateral; the protocol has no rule of staleness for Chainlink's answers."""
    listed = [(market.symbol, market.source) for market in state.markets]
    listed += [(token.symbol, token.source) for token in state.tokens if token.id != SETTLEMENT]
    return [_reading(label, source, readings, timestamp) for label, source in listed]


def _reading(label: str, source: CurieSource | None, readings: CurieReadings, timestamp: int) -> PriceReading:
    if source is None or source.problem or (reading := readings.feeds.get(source.asked)) is None:
        return PriceReading(label, source.asked if source else b"", 0, 0, "unreadable")
    price, updated_at = latest(source, reading, timestamp)
    price_wad = price * WAD // 10**source.feed_decimals
    problem = "unreadable" if reading.through_uniswap else "" if price_wad > 0 else "zero"
    return PriceReading(label, source.aggregator, price_wad, updated_at, problem)


def value_wad(snapshot: Snapshot, token: bytes, amount: int, unit: int) -> int:
    """Dollars of a token at the Vault's price; 0 when unknown. The settlement token counts as a dollar."""
    state: CurieState = snapshot.state
    item = state.token_of(token)
    if item is None:
        return 0
    if item.id == SETTLEMENT:
        return amount * unit
    try:
        price, decimals = view_at(state, snapshot.readings, snapshot.block.timestamp).collateral_price(item.id)
    except Refused:
        return 0
    return int(amount * price * WAD // 10 ** (decimals + item.decimals))
