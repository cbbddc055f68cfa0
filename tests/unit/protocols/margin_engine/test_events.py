"""Logs fold into the engine's state and the accounts' columns; one that cannot be decoded is never skipped."""

import pytest

from keeper.abi import load_abi
from keeper.errors import InvariantBroken
from keeper.model.chain import Log
from keeper.model.health import WAD
from keeper.protocols.columns import Columns, Writer
from keeper.protocols.margin_engine.state import EnginePosition, EngineSource, EngineState, holdings_of
from tests.support.engine_state import ENGINE, PROTOCOL, USDC, WETH, WETH_FEED, log, state

EVENTS = load_abi("MarginEngine").events
WHO = b"\x11" * 20


def fold(*logs: Log, start: EngineState | None = None) -> tuple[EngineState, Columns]:
    columns = Columns(PROTOCOL.tables)
    writer = Writer(columns)
    engine = PROTOCOL.initial_state() if start is None else start
    for entry in logs:
        engine = PROTOCOL.fold(engine, entry, writer)
    return engine, columns


def test_an_accounts_balances_and_positions_are_the_last_ones_announced() -> None:
    _, columns = fold(
        log("SettlementChanged", WHO, 5),
        log("SettlementChanged", WHO, -7),
        log("CollateralChanged", WHO, 1, 2**95),
        log("PositionChanged", WHO, 0, -3 * WAD, -(2**100), -1),
        start=state(),
    )
    holdings = holdings_of(columns, 0)
    assert columns.accounts.address(0) == WHO
    assert holdings.settlement == -7
    assert holdings.collaterals == ((1, 2**95),)
    assert holdings.positions == ((0, EnginePosition(-3 * WAD, -(2**100), -1)),)


def test_what_was_closed_is_no_longer_held() -> None:
    _, columns = fold(
        log("CollateralChanged", WHO, 1, 9),
        log("CollateralChanged", WHO, 1, 0),
        log("PositionChanged", WHO, 0, WAD, WAD, 4),
        log("PositionChanged", WHO, 0, 0, 0, 0),
        start=state(),
    )
    assert holdings_of(columns, 0).collaterals == ()
    assert holdings_of(columns, 0).positions == ()


def test_listing_and_configuring_build_the_whole_state() -> None:
    feed = b"\xaa" * 20
    market_params = (feed, 60, 2 * WAD, 5, 6, 7, 8, 9, 10, 11, 12, 13)
    engine, _ = fold(
        log("CollateralListed", 0, USDC, 6, "USDC"),
        log("CollateralConfigured", 0, (bytes(20), 0, WAD, 0, 2**96 - 1, 10**6), 0),
        log("LimitsConfigured", 125 * WAD // 100, 10),
        log("CollateralListed", 1, WETH, 18, "WETH"),
        log("CollateralConfigured", 1, (WETH_FEED, 3_600, 88, 5, 1_000, 1), 8),
        log("MarketListed", 0, b"ETH".ljust(32, b"\0")),
        log("MarketConfigured", 0, market_params, 6),
        log("BracketsConfigured", 0, [(0, 5, 0), (100, 6, 7)]),
        log("MarketChanged", 0, 1, 2, -3, 4),
        log("FundsChanged", -8, 9),
        log("Paused", WHO),
    )
    settlement, weth = engine.collaterals
    assert (settlement.source, settlement.scale, settlement.symbol) == (None, 10**12, "USDC")
    assert (weth.source, weth.weight, weth.discount) == (EngineSource(WETH_FEED, 3_600, 10**10), 88, 5)
    [eth] = engine.markets
    assert eth.name == "ETH"
    assert eth.rules is not None
    assert eth.rules.source == EngineSource(feed, 60, 10**12)
    assert (eth.rules.penalty, eth.rules.keeper_share, eth.rules.max_funding_rate) == (6, 7, 8)
    assert (eth.rules.skew_scale, eth.rules.block_cap, eth.rules.min_notional, eth.rules.step) == (9, 11, 12, 13)
    assert [(tier.floor, tier.rate, tier.offset) for tier in eth.brackets] == [(0, 5, 0), (100, 6, 7)]
    assert (eth.long_size, eth.short_size, eth.funding_index, eth.funding_time) == (1, 2, -3, 4)
    assert (engine.pool, engine.insurance_fund, engine.debt_limit, engine.paused) == (-8, 9, 10, True)
    reopened, _ = fold(log("Unpaused", WHO), start=engine)
    assert not reopened.paused


def test_logs_of_others_and_events_without_state_change_nothing() -> None:
    before = state()
    engine, columns = fold(
        log("SettlementChanged", WHO, 5, address=b"\x01" * 20),
        log("BadDebt", WHO, 1, 1, 0),
        Log(ENGINE, (), b"", 5, b"", 0),
        start=before,
    )
    assert engine == before
    assert len(columns) == 0


@pytest.mark.parametrize(
    "broken",
    [
        Log(ENGINE, (EVENTS["SettlementChanged"].topic, bytes(32)), b"\0" * 31, 5, b"", 0),
        Log(ENGINE, (EVENTS["SettlementChanged"].topic,), b"\0" * 32, 5, b"", 0),
        Log(ENGINE, (EVENTS["BracketsConfigured"].topic, bytes(32)), b"\0" * 7, 5, b"", 0),
        log("PositionChanged", WHO, 3, 1, 1, 1),
        log("CollateralChanged", WHO, 3, 1),
        log("SettlementChanged", WHO, 2**200),
        log("MarketListed", 5, b"X".ljust(32, b"\0")),
        log("MarketChanged", 2, 1, 2, 3, 4),
    ],
)
def test_a_log_that_cannot_be_decoded_breaks_the_invariant(broken: Log) -> None:
    with pytest.raises(InvariantBroken, match="of block 5"):
        fold(broken, start=state())
