"""The oracle's prices, for guards, people and the value of tokens."""

from keeper.model.health import WAD
from keeper.protocols.aave_v3.reads import AaveReadings
from keeper.protocols.aave_v3.state import AaveState
from keeper.protocols.base import PriceReading


def price_readings(state: AaveState, readings: AaveReadings) -> list[PriceReading]:
    """Every price with its label. Aave has no rule of staleness: `updated_at` is for the operator's own rule, 0 when
    the source does not return it."""
    labels = {reserve.asset: reserve.symbol for reserve in state.listed()}
    for id_, source in state.categories.items():
        if source:
            labels.setdefault(source, f"eMode {id_}")
    found = []
    for asset, label in labels.items():
        source = state.sources.get(asset, b"")
        price = readings.prices.get(asset)
        problem = "unreadable" if price is None else "" if price else "zero"
        updated = readings.updated.get(source, 0)
        found.append(PriceReading(label, source or asset, _wad(readings, price or 0), updated, problem))
    return found


def value_wad(readings: AaveReadings, state: AaveState, token: bytes, amount: int) -> int:
    """Dollars (1e18) of a signed amount of an asset; 0 when it has no price or is none of the reserves."""
    for reserve in state.listed():
        if reserve.asset == token and reserve.index in readings.reserves and token in readings.prices:
            unit = readings.reserves[reserve.index].configuration.unit
            return amount * readings.prices[token] * WAD // (unit * readings.unit)
    return 0


def _wad(readings: AaveReadings, price: int) -> int:
    return price * WAD // readings.unit if readings.unit else 0
