"""Prices as the engine takes them: fresh ones to act at (`MarginEngine._read`), last ones to value collateral at."""

from keeper.abi import checksum
from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.model.refusal import RefusalCode
from keeper.protocols.base import PriceReading, Snapshot
from keeper.protocols.margin_engine.reads import UNREADABLE, EngineReadings, sources
from keeper.protocols.margin_engine.state import SETTLEMENT, EngineSource, EngineState

_PRICE_LIMIT = 1 << 128  # 3.4e20 dollars: beyond, the engine's own products overflow
_TIME_LIMIT = (1 << 256) - (1 << 32)


def judge(readings: EngineReadings, source: EngineSource, timestamp: int) -> tuple[int, str]:
    """(price in 1e18, problem at `timestamp`, empty when the price can be used)."""
    found = readings.feeds.get(source.feed, UNREADABLE)
    price = found.answer * source.scale
    if not found.readable or found.updated_at >= _TIME_LIMIT or price >= _PRICE_LIMIT:
        return 0, "unreadable"
    if price <= 0:
        return price, "negative" if price < 0 else "zero"
    return price, "stale" if found.updated_at + source.heartbeat_s < timestamp else ""


def price_of(readings: EngineReadings, source: EngineSource | None, timestamp: int) -> int:
    """A price that the engine accepts at `timestamp`, in 1e18. Raises Refused("unpriced")."""
    if source is None:
        raise Refused(RefusalCode.UNPRICED, "a market or collateral has no price feed")
    price, problem = judge(readings, source, timestamp)
    if problem:
        raise Refused(RefusalCode.UNPRICED, f"price feed {checksum(source.feed)} is {problem}")
    return price


def last_price(readings: EngineReadings, source: EngineSource | None) -> int:
    """A collateral's last price of whatever age, in 1e18; 0 when its feed gives none (`MarginEngine._lastPrice`)."""
    found = readings.feeds.get(source.feed, UNREADABLE) if source else UNREADABLE
    price = found.answer * source.scale if source and found.readable else 0
    return price if 0 < price < _PRICE_LIMIT else 0


def price_readings(state: EngineState, readings: EngineReadings, timestamp: int) -> list[PriceReading]:
    """Every price with its label, for guards, logs and people."""
    found = []
    for label, source in sources(state):
        price, problem = judge(readings, source, timestamp)
        updated_at = readings.feeds.get(source.feed, UNREADABLE).updated_at
        found.append(PriceReading(label, source.feed, price, updated_at, problem))
    return found


def value_wad(snapshot: Snapshot, token: bytes, amount: int) -> int:
    """Dollars (1e18) of a signed amount of a collateral; 0 when it has no usable price or is none."""
    state: EngineState = snapshot.state
    item = next((item for item in state.collaterals if item.token == token), None)
    if item is None:
        return 0
    if item.id == SETTLEMENT:
        return amount * item.scale
    if item.source is None:
        return 0
    price, problem = judge(snapshot.readings, item.source, snapshot.block.timestamp)
    return 0 if problem else amount * item.scale * price // WAD
