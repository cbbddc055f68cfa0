"""What the planner asks about: one account at one time, and what may be drawn on."""

from collections.abc import Mapping
from dataclasses import dataclass

from keeper.protocols.margin_engine.reads import EngineReadings
from keeper.protocols.margin_engine.state import EngineHoldings, EngineState


@dataclass(frozen=True, slots=True)
class EngineQuery:
    """`limits`: what other plans leave, as the planner gives."""

    state: EngineState
    readings: EngineReadings
    address: bytes
    holdings: EngineHoldings
    timestamp: int
    target_wad: int
    limits: Mapping[str, int]
