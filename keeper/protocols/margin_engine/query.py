"""The planner's question: one account at one time, and the limits that other plans leave."""

from collections.abc import Mapping
from dataclasses import dataclass

from keeper.protocols.margin_engine.reads import EngineReadings
from keeper.protocols.margin_engine.state import EngineHoldings, EngineState


@dataclass(frozen=True, slots=True)
class EngineQuery:
    """One account at one time. `limits`: as in `Protocol.opportunities`."""

    state: EngineState
    readings: EngineReadings
    address: bytes
    holdings: EngineHoldings
    timestamp: int
    target_wad: int
    limits: Mapping[str, int]
