"""The plug-in for Aave v3, versions 3.0.2 and 3.6, found from its PoolAddressesProvider and the pool's revision."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

from eth_abi.exceptions import DecodingError

from keeper.abi import load_abi
from keeper.defi.uniswap_v3 import Pool
from keeper.errors import InvariantBroken, Refused
from keeper.model.chain import Call, CallResult, Log, LogFilter
from keeper.model.health import Health
from keeper.model.plan import Opportunity, OwnLiquidation
from keeper.model.refusal import RefusalCode
from keeper.model.stakes import Stakes
from keeper.protocols import executor
from keeper.protocols.aave_v3 import (
    accounts,
    calldata,
    discovery,
    events,
    exits,
    opportunities,
    permits,
    prices,
    reads,
    screen,
)
from keeper.protocols.aave_v3.discovery import Found
from keeper.protocols.aave_v3.health import AaveMarket, health_of
from keeper.protocols.aave_v3.query import AaveQuery
from keeper.protocols.aave_v3.reads import AaveReadings
from keeper.protocols.aave_v3.state import TABLES, AaveState, holdings_of
from keeper.protocols.aave_v3.versions import Version
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

_POOL = load_abi("IAavePool").functions
_DATA = _POOL["getUserAccountData"]
_PROVIDER = "PoolAddressesProvider"


class AaveV3Protocol(Defaults):
    """Implements `keeper.protocols.base.Protocol`. Dollars in 1e18, prices in the oracle's base currency (1e8)."""

    name: ClassVar[str] = "aave_v3"
    required_contracts: ClassVar[tuple[str, ...]] = (_PROVIDER,)
    needs_executor: ClassVar[bool] = True
    tables: ClassVar[tuple[TableSpec, ...]] = TABLES

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._found = Found(deployment.contracts[_PROVIDER], deployment.executor)

    def discovery(self) -> list[Call]:
        return discovery.calls(self._found)

    def discovered(self, results: Sequence[CallResult]) -> Self:
        made = type(self)(self._deployment)
        made._found = discovery.learn(self._found, results)
        return made

    @property
    def _version(self) -> Version:
        if self._found.version is None:
            raise InvariantBroken("the Aave pool's version was used before discovery finished")
        return self._found.version

    def initial_state(self) -> AaveState:
        return self._found.state

    def log_filter(self, state: AaveState) -> LogFilter:
        return events.log_filter(self._found.provider, self._found.pool, self._found.configurator, state)

    def fold(self, state: AaveState, log: Log, writer: Writer) -> AaveState:
        return events.fold(self._version, self._found.pool, state, log, writer)

    def reads(self, state: AaveState) -> list[Call]:
        return reads.reads(self._found.pool, self._found.pools, state)

    def decode_reads(self, state: AaveState, results: Sequence[CallResult]) -> AaveReadings:
        return reads.decode_reads(self._version, self._found.revision, self._found.pools, state, results)

    def account_reads(self, state: AaveState, account: bytes) -> list[Call]:
        return accounts.account_reads(self._found.pool, state, account)

    def fold_account(self, state: AaveState, account: bytes, results: Sequence[CallResult], writer: Writer) -> None:
        accounts.fold_account(self._version, state, account, results, writer)

    def cross_checks(self, state: AaveState) -> list[tuple[Call, bytes]]:
        """The pool's reserves are those of the logs: a start block after a listing would miss earlier accounts."""
        told = [reserve for reserve in state.listed() if reserve.supply_token in state.announced]
        assets = [reserve.asset for reserve in sorted(told, key=lambda reserve: reserve.id)]
        words = [32, len(assets), *(int.from_bytes(asset, "big") for asset in assets)]
        wanted = b"".join(word.to_bytes(32, "big") for word in words)
        return [(Call(self._found.pool, _POOL["getReservesList"].encode()), wanted)]

    def prices(self, snapshot: Snapshot, timestamp: int) -> list[PriceReading]:  # noqa: ARG002
        return prices.price_readings(snapshot.state, snapshot.readings)

    def screen(self, snapshot: Snapshot, timestamp: int) -> Screen:
        return screen.screen(self._market(snapshot, timestamp), snapshot.columns)

    def health(self, snapshot: Snapshot, row: int, timestamp: int) -> Health:
        return health_of(self._market(snapshot, timestamp), holdings_of(snapshot.columns, row))

    def audit(self, snapshot: Snapshot, row: int) -> list[Call]:
        return [Call(self._found.pool, _DATA.encode(snapshot.columns.accounts.address(row)))]

    def audit_matches(self, snapshot: Snapshot, row: int, results: Sequence[CallResult]) -> str:
        [result] = results
        try:
            local = self.health(snapshot, row, snapshot.block.timestamp)
        except Refused as refusal:
            return "" if not result.ok else f"local health is refused ({refusal}), the contract's is not"
        try:
            theirs = _DATA.decode(result.data) if result.ok else None
        except DecodingError:
            theirs = None
        if theirs is None:
            return f"the contract's getUserAccountData fails: {self.explain(result.data)}"
        ours = tuple(local.views.values())
        return "" if ours == theirs else f"local account data {ours}, the contract's {theirs}"

    def opportunities(
        self, snapshot: Snapshot, row: int, timestamp: int, target_wad: int, limits: Mapping[str, int]
    ) -> list[Opportunity]:
        if not self._deployment.executor:
            raise Refused(
                RefusalCode.UNSUPPORTED, "the deployment file names no Executor: run `keeper executor deploy`"
            )
        query = AaveQuery(
            market=self._market(snapshot, timestamp),
            pools=self._found.pools,
            states=snapshot.readings.pools if snapshot.moved is None else snapshot.moved,
            address=snapshot.columns.accounts.address(row),
            holdings=holdings_of(snapshot.columns, row),
            target_wad=target_wad,
            limits=limits,
            flash_loans=self._deployment.means.flash_loans,
        )
        return opportunities.find(query)

    def after(self, snapshot: Snapshot, own: Sequence[OwnLiquidation], timestamp: int) -> Snapshot:  # noqa: ARG002
        states = snapshot.readings.pools if snapshot.moved is None else snapshot.moved
        return replace(snapshot, moved=exits.after(states, own))

    def encode(self, snapshot: Snapshot, opportunity: Opportunity, floor_wad: int, *, deadline: int = NEVER) -> Call:
        market = self._market(snapshot, snapshot.block.timestamp)
        max_slip = self._deployment.means.max_slip
        order = calldata.encode(market, self._found.pool, opportunity, floor_wad, max_slip, deadline)
        return executor.call(self._deployment.executor, order)

    def purse(self, state: AaveState) -> list[bytes]:
        return sorted(reserve.asset for reserve in state.listed())

    def targets(self, deployment: Deployment) -> frozenset[bytes]:
        return frozenset({deployment.executor} - {b""})

    def permits(self, state: AaveState, call: Call) -> str:
        return permits.why_not(self._found.pool, self._deployment.executor, self._pools, state, call)

    def stakes(self, snapshot: Snapshot, call: Call) -> Stakes:
        return permits.stakes(snapshot, call)

    @cached_property
    def _pools(self) -> Mapping[bytes, Pool]:
        return {pool.address: pool for pool in self._found.pools}

    def achieved(
        self,
        state: AaveState,  # noqa: ARG002
        opportunity_account: bytes,
        keeper: bytes,  # noqa: ARG002
        logs: Sequence[Log],
    ) -> Achieved | None:
        return calldata.achieved(self._found.pool, self._deployment.executor, opportunity_account, logs)

    def explain(self, data: bytes) -> Revert:
        return calldata.explain(data)

    def token_symbols(self, state: AaveState) -> Mapping[bytes, tuple[str, int]]:
        return {reserve.asset: (reserve.symbol, reserve.decimals) for reserve in state.listed()}

    def value_wad(self, snapshot: Snapshot, token: bytes, amount: int) -> int:
        return prices.value_wad(snapshot.readings, snapshot.state, token, amount)

    def _market(self, snapshot: Snapshot, timestamp: int) -> AaveMarket:
        return AaveMarket(snapshot.state, snapshot.readings, timestamp)


if TYPE_CHECKING:
    _: type[Protocol] = AaveV3Protocol
