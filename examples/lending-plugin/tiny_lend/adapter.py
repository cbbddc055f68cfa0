"""The plug-in: what `keeper.protocols.base.Protocol` asks of Tiny Lend, each answered by the module that knows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from keeper.defi.fixed_point import WAD
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
from tiny_lend import liquidation, reading
from tiny_lend.abi import VIEWS
from tiny_lend.maths import health_of, index_at, price_at, usable_price
from tiny_lend.reading import Parts
from tiny_lend.screen import screen
from tiny_lend.state import TABLES, Market, Readings, Terms, holdings_of


class TinyLendProtocol(Defaults):
    """One deployment. `parts` and `terms` are what was found out so far."""

    name: ClassVar[str] = "tiny_lend"
    required_contracts: ClassVar[tuple[str, ...]] = ("TinyLend",)
    tables: ClassVar[tuple[TableSpec, ...]] = TABLES

    def __init__(self, deployment: Deployment, parts: Parts | None = None, terms: Terms | None = None) -> None:
        self._deployment = deployment
        self._lend = deployment.contracts["TinyLend"]
        self._parts = parts
        self._known = terms

    def discovery(self) -> list[Call]:
        if self._parts is None:
            return Parts.calls(self._lend)
        return self._parts.more() if self._known is None else []

    def discovered(self, results: Sequence[CallResult]) -> "TinyLendProtocol":
        if self._parts is None:
            return TinyLendProtocol(self._deployment, Parts.of(self._lend, results))
        return TinyLendProtocol(self._deployment, self._parts, self._parts.terms(results))

    @property
    def _terms(self) -> Terms:
        assert self._known is not None, "used before discovery finished"
        return self._known

    def initial_state(self) -> Market:
        return Market()

    def log_filter(self, state: Market) -> LogFilter:  # noqa: ARG002
        return LogFilter((self._lend,), reading.TOPICS)

    def fold(self, state: Market, log: Log, writer: Writer) -> Market:
        return reading.fold(state, log, writer)

    def account_reads(self, state: Market, account: bytes) -> list[Call]:  # noqa: ARG002
        return reading.account_reads(self._lend, account)

    def fold_account(self, state: Market, account: bytes, results: Sequence[CallResult], writer: Writer) -> None:  # noqa: ARG002
        reading.fold_account(account, results, writer)

    def reads(self, state: Market) -> list[Call]:  # noqa: ARG002
        return reading.reads(self._lend, self._terms)

    def decode_reads(self, state: Market, results: Sequence[CallResult]) -> Readings:  # noqa: ARG002
        return reading.decode_reads(self._terms, results)

    def cross_checks(self, state: Market) -> list[tuple[Call, bytes]]:
        return [(Call(self._lend, VIEWS["totalCollateral"].encode()), state.total_collateral.to_bytes(32, "big"))]

    def prices(self, snapshot: Snapshot, timestamp: int) -> list[PriceReading]:
        price, problem = price_at(self._terms, snapshot.readings, timestamp)
        label = self._terms.collateral.symbol
        return [PriceReading(label, self._terms.feed, price, snapshot.readings.updated_at, problem)]

    def screen(self, snapshot: Snapshot, timestamp: int) -> Screen:
        return screen(self._terms, snapshot, timestamp)

    def health(self, snapshot: Snapshot, row: int, timestamp: int) -> Health:
        readings: Readings = snapshot.readings
        price = usable_price(self._terms, readings, timestamp)
        return health_of(self._terms, holdings_of(snapshot.columns, row), index_at(readings, timestamp), price)

    def audit(self, snapshot: Snapshot, row: int) -> list[Call]:
        return [Call(self._lend, VIEWS["health"].encode(snapshot.columns.accounts.address(row)))]

    def audit_matches(self, snapshot: Snapshot, row: int, results: Sequence[CallResult]) -> str:
        [result] = results
        try:
            local = self.health(snapshot, row, snapshot.block.timestamp)
        except Refused as refusal:
            return "" if not result.ok else f"local health is refused ({refusal}), the contract's is not"
        if not result.ok:
            return f"the contract's health reverts: {self.explain(result.data)}"
        theirs, ours = VIEWS["health"].decode(result.data), (local.equity, local.requirement)
        return "" if theirs == ours else f"local capacity and debt {ours}, the contract's {theirs}"

    def opportunities(
        self, snapshot: Snapshot, row: int, timestamp: int, target_wad: int, limits: Mapping[str, int]
    ) -> list[Opportunity]:
        held, account = holdings_of(snapshot.columns, row), snapshot.columns.accounts.address(row)
        return liquidation.find(
            self._terms, snapshot.state, snapshot.readings, account, held, timestamp, target_wad, limits
        )

    def encode(
        self,
        snapshot: Snapshot,  # noqa: ARG002
        opportunity: Opportunity,
        floor_wad: int,
        *,
        deadline: int = NEVER,  # noqa: ARG002
    ) -> Call:
        return Call(self._lend, liquidation.encode(self._terms, opportunity, floor_wad))

    def allowances(self, state: Market) -> list[tuple[bytes, bytes]]:  # noqa: ARG002
        return [(self._terms.debt.address, self._lend)]

    def targets(self, deployment: Deployment) -> frozenset[bytes]:  # noqa: ARG002
        return frozenset({self._lend})

    def permits(self, state: Market, call: Call) -> str:  # noqa: ARG002
        return liquidation.permits(self._lend, call)

    def stakes(self, snapshot: Snapshot, call: Call) -> Stakes:
        return liquidation.stakes(self._terms, snapshot, call)

    def achieved(
        self,
        state: Market,  # noqa: ARG002
        opportunity_account: bytes,
        keeper: bytes,
        logs: Sequence[Log],
    ) -> Achieved | None:
        return liquidation.achieved(self._terms, self._lend, opportunity_account, keeper, logs)

    def explain(self, data: bytes) -> Revert:
        return liquidation.explain(data)

    def token_symbols(self, state: Market) -> Mapping[bytes, tuple[str, int]]:  # noqa: ARG002
        return {token.address: (token.symbol, token.decimals) for token in (self._terms.collateral, self._terms.debt)}

    def value_wad(self, snapshot: Snapshot, token: bytes, amount: int) -> int:
        if token == self._terms.debt.address:
            return amount * self._terms.debt.scale
        price, problem = price_at(self._terms, snapshot.readings, snapshot.block.timestamp)
        if token != self._terms.collateral.address or problem:
            return 0
        return amount * self._terms.collateral.scale * price // WAD


if TYPE_CHECKING:
    _: type[Protocol] = TinyLendProtocol  # mypy says what is missing
