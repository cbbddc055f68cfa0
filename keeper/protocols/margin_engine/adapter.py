"""The plug-in for `contracts/src/MarginEngine.sol`: a cross-margin perpetuals engine with several collaterals."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from keeper.abi import load_abi
from keeper.errors import Refused
from keeper.model.chain import Call, CallResult, Log, LogFilter
from keeper.model.health import Health
from keeper.model.plan import Opportunity
from keeper.model.stakes import Stakes
from keeper.protocols.base import (
    NEVER,
    Achieved,
    Defaults,
    Deployment,
    PriceReading,
    Protocol,
    Revert,
    Screen,
    Snapshot,
)
from keeper.protocols.columns import TableSpec, Writer
from keeper.protocols.margin_engine import calldata, events, opportunities, permits, prices, reads, screen
from keeper.protocols.margin_engine.health import equity_requirement, health_of
from keeper.protocols.margin_engine.query import EngineQuery
from keeper.protocols.margin_engine.reads import EngineReadings
from keeper.protocols.margin_engine.state import SETTLEMENT, TABLES, EngineState, holdings_of

_VIEWS = load_abi("MarginEngine").functions
_HEALTH = _VIEWS["health"]
_HEALTH_BYTES = 64


class MarginEngineProtocol(Defaults):
    """Implements `keeper.protocols.base.Protocol`. Dollars, sizes and prices in 1e18."""

    name: ClassVar[str] = "margin_engine"
    required_contracts: ClassVar[tuple[str, ...]] = ("MarginEngine",)
    tables: ClassVar[tuple[TableSpec, ...]] = TABLES

    def __init__(self, deployment: Deployment) -> None:
        self._engine = deployment.contracts["MarginEngine"]
        self._filter = LogFilter((self._engine,), events.TOPICS)

    def initial_state(self) -> EngineState:
        return EngineState()

    def log_filter(self, state: EngineState) -> LogFilter:  # noqa: ARG002
        return self._filter

    def fold(self, state: EngineState, log: Log, writer: Writer) -> EngineState:
        if log.address != self._engine:
            return state
        return events.fold(state, log, writer)

    def reads(self, state: EngineState) -> list[Call]:
        return reads.reads(state)

    def decode_reads(self, state: EngineState, results: Sequence[CallResult]) -> EngineReadings:
        return reads.decode_reads(state, results)

    def cross_checks(self, state: EngineState) -> list[tuple[Call, bytes]]:
        counts = {"collateralCount": len(state.collaterals), "marketCount": len(state.markets)}
        return [
            (Call(self._engine, _VIEWS[name].encode()), count.to_bytes(32, "big")) for name, count in counts.items()
        ]

    def prices(self, snapshot: Snapshot, timestamp: int) -> list[PriceReading]:
        return prices.price_readings(snapshot.state, snapshot.readings, timestamp)

    def screen(self, snapshot: Snapshot, timestamp: int) -> Screen:
        return screen.screen(snapshot.state, snapshot.readings, snapshot.columns, timestamp)

    def health(self, snapshot: Snapshot, row: int, timestamp: int) -> Health:
        holdings = holdings_of(snapshot.columns, row)
        return health_of(*equity_requirement(snapshot.state, snapshot.readings, holdings, timestamp))

    def audit(self, snapshot: Snapshot, row: int) -> list[Call]:
        return [Call(self._engine, _HEALTH.encode(snapshot.columns.accounts.address(row)))]

    def audit_matches(self, snapshot: Snapshot, row: int, results: Sequence[CallResult]) -> str:
        [result] = results
        try:
            local = self.health(snapshot, row, snapshot.block.timestamp)
        except Refused as refusal:
            return "" if not result.ok else f"local health is refused ({refusal}), the contract's is not"
        if not result.ok:
            return f"the contract's health reverts: {self.explain(result.data)}"
        if len(result.data) < _HEALTH_BYTES:
            return f"health() returned {len(result.data)} bytes, {_HEALTH_BYTES} expected"
        found = _HEALTH.decode(result.data)
        if found == (local.equity, local.requirement):
            return ""
        return (
            f"local equity and requirement {local.equity}, {local.requirement}, the contract's {found[0]}, {found[1]}"
        )

    def opportunities(
        self, snapshot: Snapshot, row: int, timestamp: int, target_wad: int, limits: Mapping[str, int]
    ) -> list[Opportunity]:
        query = EngineQuery(
            state=snapshot.state,
            readings=snapshot.readings,
            address=snapshot.columns.accounts.address(row),
            holdings=holdings_of(snapshot.columns, row),
            timestamp=timestamp,
            target_wad=target_wad,
            limits=limits,
        )
        return opportunities.find(query)

    def encode(self, snapshot: Snapshot, opportunity: Opportunity, floor_wad: int, *, deadline: int = NEVER) -> Call:
        now = snapshot.block.timestamp
        data = calldata.encode(snapshot.state, snapshot.readings, opportunity, floor_wad, now, deadline)
        return Call(self._engine, data)

    def allowances(self, state: EngineState) -> list[tuple[bytes, bytes]]:
        return [(state.collaterals[SETTLEMENT].token, self._engine)] if state.collaterals else []

    def targets(self, deployment: Deployment) -> frozenset[bytes]:  # noqa: ARG002
        return frozenset({self._engine})

    def permits(self, state: EngineState, call: Call) -> str:
        return permits.why_not(self._engine, state, call)

    def stakes(self, snapshot: Snapshot, call: Call) -> Stakes:
        return permits.stakes(snapshot, call)

    def achieved(
        self, state: EngineState, opportunity_account: bytes, keeper: bytes, logs: Sequence[Log]
    ) -> Achieved | None:
        ours = [log for log in logs if log.address == self._engine]
        return calldata.achieved(state, opportunity_account, keeper, ours)

    def explain(self, data: bytes) -> Revert:
        return calldata.explain(data)

    def token_symbols(self, state: EngineState) -> Mapping[bytes, tuple[str, int]]:
        return {item.token: (item.symbol, item.decimals) for item in state.collaterals}

    def value_wad(self, snapshot: Snapshot, token: bytes, amount: int) -> int:
        return prices.value_wad(snapshot, token, amount)


if TYPE_CHECKING:
    _: type[Protocol] = MarginEngineProtocol
