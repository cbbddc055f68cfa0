"""The plug-in for Perpetual Protocol v2 ("Curie", 2.8.4): perpetual futures that trade in Uniswap v3 pools."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Self

from keeper.errors import Refused
from keeper.model.chain import Call, CallResult, Log, LogFilter, storage_read
from keeper.model.health import Health
from keeper.model.plan import Opportunity, OwnLiquidation
from keeper.model.refusal import RefusalCode
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
from keeper.protocols.curie import (
    accounts,
    calldata,
    events,
    lookups,
    opportunities,
    permits,
    prices,
    reads,
    screen,
    storage,
)
from keeper.protocols.curie.account_value import AccountValue
from keeper.protocols.curie.contracts import CORE, Contracts
from keeper.protocols.curie.exits import ExitFactory
from keeper.protocols.curie.health import health_of
from keeper.protocols.curie.moved import CurieMoved, after
from keeper.protocols.curie.query import CurieQuery
from keeper.protocols.curie.reads import CurieReadings
from keeper.protocols.curie.state import SETTLEMENT, TABLES, CurieHoldings, CurieState, Order, holdings_of
from keeper.protocols.curie.view import view_at

_AUDITED = (
    ("getAccountValue", "clearing_house"),
    ("getMarginRequirementForLiquidation", "account_balance"),
    ("isLiquidatable", "vault"),
    ("getFreeCollateral", "vault"),
)


class CurieProtocol(Defaults):
    """Implements `keeper.protocols.base.Protocol`. Dollars and sizes in 1e18; positions are valued at mark prices."""

    name: ClassVar[str] = "curie"
    required_contracts: ClassVar[tuple[str, ...]] = ("ClearingHouse",)
    tables: ClassVar[tuple[TableSpec, ...]] = TABLES
    needs_executor: ClassVar[bool] = True

    def __init__(
        self, deployment: Deployment, contracts: Contracts | None = None, exit_factory: ExitFactory | None = None
    ) -> None:
        self._deployment = deployment
        self._contracts = contracts or Contracts(deployment.contracts["ClearingHouse"])
        self._exit_factory = exit_factory or ExitFactory(deployment.executor)

    @property
    def pool_factory(self) -> bytes:
        """The Uniswap v3 factory of the markets' pools, as ClearingHouse names it; empty until discovered."""
        return self._contracts.factory

    # What to find out before the first log.

    def discovery(self) -> list[Call]:
        return self._contracts.discovery() or self._exit_factory.discovery()

    def discovered(self, results: Sequence[CallResult]) -> Self:
        if self._contracts.discovery():
            return type(self)(self._deployment, self._contracts.discovered(results), self._exit_factory)
        return type(self)(self._deployment, self._contracts, self._exit_factory.discovered(results))

    # What to read, and what it means.

    def initial_state(self) -> CurieState:
        return events.initial_state(self._contracts)

    def log_filter(self, state: CurieState) -> LogFilter:
        known = self._contracts
        core = (known.clearing_house, known.vault, known.account_balance, known.registry, known.collateral_manager)
        markets = [address for market in state.markets for address in (market.base, market.pool)]
        feeds = sorted(source.feed for source in reads.sources(state))
        exits = sorted(pool.address for token in state.tokens for pool in token.exits)
        return LogFilter((*core, *markets, *feeds, *exits), events.TOPICS)

    def fold(self, state: CurieState, log: Log, writer: Writer) -> CurieState:
        return events.fold(self._contracts, state, log, writer)

    def lookups(self, state: CurieState) -> list[Call]:
        return lookups.lookups(self._contracts, self._exit_factory, state)

    def looked_up(self, state: CurieState, results: Sequence[CallResult]) -> CurieState:
        return lookups.looked_up(self._contracts, self._exit_factory, state, results)

    def reads(self, state: CurieState) -> list[Call]:
        return reads.reads(self._contracts, state, self._deployment.executor)

    def decode_reads(self, state: CurieState, results: Sequence[CallResult]) -> CurieReadings:
        return reads.decode_reads(state, results)

    def account_reads(self, state: CurieState, account: bytes) -> list[Call]:
        return accounts.account_reads(self._contracts, state, account)

    def fold_account(self, state: CurieState, account: bytes, results: Sequence[CallResult], writer: Writer) -> None:
        accounts.fold_account(state, account, results, writer)

    def cross_checks(self, state: CurieState) -> list[tuple[Call, bytes]]:
        """Each pool is the registry's. When the registry's first log is missing, no answer matches."""
        missed = [] if state.born else [(storage_read(self._contracts.registry, [0]), b"")]
        return missed + [
            (
                storage_read(self._contracts.registry, [storage.pool_slot(market.base)]),
                market.pool.rjust(32, b"\0"),
            )
            for market in state.markets
        ]

    def prices(self, snapshot: Snapshot, timestamp: int) -> list[PriceReading]:
        return prices.price_readings(snapshot.state, snapshot.readings, timestamp)

    # Health.

    def screen(self, snapshot: Snapshot, timestamp: int) -> Screen:
        return screen.screen(snapshot, timestamp, self._contracts.unit)

    def health(self, snapshot: Snapshot, row: int, timestamp: int) -> Health:
        return health_of(self.account_value(snapshot, row, timestamp))

    def account_value(self, snapshot: Snapshot, row: int, timestamp: int) -> AccountValue:
        """The account in the contracts' integers. Raises Refused("unpriced")."""
        view = view_at(snapshot.state, snapshot.readings, timestamp)
        return AccountValue(view, holdings_of(snapshot.state, snapshot.columns, row), self._contracts.unit)

    def audit(self, snapshot: Snapshot, row: int) -> list[Call]:
        account = snapshot.columns.accounts.address(row)
        return [Call(getattr(self._contracts, at), CORE[view].encode(account)) for view, at in _AUDITED]

    def audit_matches(self, snapshot: Snapshot, row: int, results: Sequence[CallResult]) -> str:
        failed = next((result for result in results if not result.ok), None)
        try:
            account = self.account_value(snapshot, row, snapshot.block.timestamp)
            local = [
                account.account_value,
                account.requirement,
                int(account.seizable),
                max(0, account.free_collateral(account.view.parameters.im_ratio)),
            ]
        except Refused as refusal:
            known = failed or refusal.code == RefusalCode.UNSUPPORTED  # what is not supported is not compared
            return "" if known else f"local health is refused ({refusal}), the contract's is not"
        if failed:
            return f"a view of the contract reverts: {self.explain(failed.data)}"
        found = [int.from_bytes(result.data, "big", signed=True) for result in results]
        names = [name for name, _ in _AUDITED]
        return "" if found == local else f"local {dict(zip(names, local, strict=True))}, the contract's {found}"

    # Liquidation.

    def opportunities(
        self, snapshot: Snapshot, row: int, timestamp: int, target_wad: int, limits: Mapping[str, int]
    ) -> list[Opportunity]:
        query = self.query(snapshot, row, timestamp, target_wad, limits)
        if query.address in (self._contracts.insurance_fund, self._deployment.executor):
            raise Refused(RefusalCode.UNSUPPORTED, "this keeper does not liquidate the insurance fund and the executor")
        return opportunities.find(query)

    def query(
        self, snapshot: Snapshot, row: int, timestamp: int, target_wad: int, limits: Mapping[str, int]
    ) -> CurieQuery:
        """The account, and who pays for its liquidation. Raises Refused("unpriced")."""
        accounts, state = snapshot.columns.accounts, snapshot.state
        account = self.account_value(snapshot, row, timestamp)
        known = {
            address: accounts.row(address) for address in (self._deployment.executor, self._contracts.insurance_fund)
        }
        own, fund = (
            CurieHoldings() if found is None else holdings_of(state, snapshot.columns, found)
            for found in known.values()
        )
        # Anybody can give the executor collateral: it is not counted on, and stands in nobody's way.
        own = replace(own, balances={token: units for token, units in own.balances.items() if token == SETTLEMENT})
        fund_value = AccountValue(account.view, fund, account.unit)
        return CurieQuery(
            self._contracts,
            accounts.address(row),
            account,
            own,
            fund_value,
            target_wad,
            limits,
            snapshot.moved or CurieMoved(),
        )

    def encode(self, snapshot: Snapshot, opportunity: Opportunity, floor_wad: int, *, deadline: int = NEVER) -> Call:
        return calldata.encode(self._contracts, snapshot.state, self._deployment, opportunity, floor_wad, deadline)

    def after(self, snapshot: Snapshot, own: Sequence[OwnLiquidation], timestamp: int) -> Snapshot:
        state, columns = snapshot.state, snapshot.columns
        view = view_at(state, snapshot.readings, timestamp)

        def orders_of(account: bytes) -> Sequence[Order]:
            row = columns.accounts.row(account)
            return () if row is None else holdings_of(state, columns, row).orders

        return replace(snapshot, moved=after(view, snapshot.moved or CurieMoved(), own, orders_of))

    def purse(self, state: CurieState) -> list[bytes]:  # noqa: ARG002
        return [self._contracts.settlement] if self._deployment.executor else []

    def targets(self, deployment: Deployment) -> frozenset[bytes]:
        return frozenset({deployment.executor} - {b""})

    def permits(self, state: CurieState, call: Call) -> str:
        return permits.why_not(self._contracts, self._deployment.executor, state, call)

    def stakes(self, snapshot: Snapshot, call: Call) -> Stakes:
        return permits.stakes(self._contracts.unit, snapshot, call)

    def achieved(
        self,
        state: CurieState,  # noqa: ARG002
        opportunity_account: bytes,
        keeper: bytes,  # noqa: ARG002
        logs: Sequence[Log],
    ) -> Achieved | None:
        return calldata.achieved(self._contracts, self._deployment.executor, opportunity_account, logs)

    def explain(self, data: bytes) -> Revert:
        return calldata.explain(data)

    # For people.

    def token_symbols(self, state: CurieState) -> Mapping[bytes, tuple[str, int]]:
        return {token.address: (token.symbol, token.decimals) for token in state.tokens}

    def value_wad(self, snapshot: Snapshot, token: bytes, amount: int) -> int:
        return prices.value_wad(snapshot, token, amount, self._contracts.unit)


if TYPE_CHECKING:
    _: type[Protocol] = CurieProtocol
