"""Opportunities, the calls made of them, and what the engine's answers mean."""

import pytest
from eth_abi.abi import encode

from keeper.abi import load_abi
from keeper.errors import Refused
from keeper.model.chain import Log
from keeper.model.health import INFINITE_HEALTH, WAD
from keeper.model.plan import Opportunity, token_key
from keeper.protocols.base import NEVER, RevertAction, Snapshot
from keeper.protocols.margin_engine.calldata import ACTIONS
from keeper.protocols.margin_engine.reads import EngineReadings, FeedAnswer
from keeper.protocols.margin_engine.state import EngineHoldings, EnginePosition, EngineState
from tests.support.engine_state import (
    ENGINE,
    ETH_FEED,
    NOW,
    PROTOCOL,
    USDC,
    WETH,
    WETH_FEED,
    log,
    market,
    snapshot,
    state,
)

ABI = load_abi("MarginEngine")
WHO, KEEPER = b"\x11" * 20, b"\x22" * 20
TARGET = 11 * WAD // 10


def found(book: Snapshot, limits: dict[str, int] | None = None, target: int = TARGET) -> list[Opportunity]:
    return PROTOCOL.opportunities(book, 0, NOW, target, limits or {})


def book_of(holdings: EngineHoldings, engine: EngineState | None = None) -> Snapshot:
    return snapshot(state() if engine is None else engine, {WHO: holdings})


def test_a_safe_account_offers_nothing() -> None:
    assert found(book_of(EngineHoldings(60 * WAD, (), ((0, EnginePosition(WAD, 1_000 * WAD, 0)),)))) == []


def test_each_market_is_offered_the_one_that_makes_it_safe_first() -> None:
    engine = state(market(0), market(1))
    positions = ((0, EnginePosition(WAD, 1_000 * WAD, 0)), (1, EnginePosition(-20 * WAD, -20_000 * WAD, 0)))
    first, second = found(book_of(EngineHoldings(950 * WAD, (), positions), engine))
    assert (first.subject, second.subject) == ("M1", "M0")
    assert not first.after.liquidatable
    assert first.after.health_wad >= TARGET
    assert second.after.liquidatable
    assert first.rewards == {USDC: first.reward_wad // 10**12}
    assert first.uses == {"cap:market:1": (first.notional_wad, 10**27)}


def test_bad_debt_prevented_counts_where_the_equity_is_thin() -> None:
    thin = EnginePosition(20 * WAD, 20_000 * WAD, 0)
    [opportunity] = found(book_of(EngineHoldings(150 * WAD, (), ((0, thin),))))
    assert 0 < opportunity.bad_debt_prevented_wad < 20 * WAD


def test_what_others_draw_on_a_blocks_cap_shrinks_the_size_and_the_whole_cap_is_still_named() -> None:
    book = book_of(EngineHoldings(900 * WAD, (), ((0, EnginePosition(20 * WAD, 20_000 * WAD, 0)),)))
    [clipped] = found(book, {"cap:market:0": 1_000 * WAD})
    assert clipped.size == WAD
    assert clipped.uses["cap:market:0"] == (1_000 * WAD, 10**27)
    assert found(book, {"cap:market:0": 0}) == []


def test_collateral_of_an_indebted_account_is_offered_for_all_that_it_owes() -> None:
    book = book_of(EngineHoldings(-900 * WAD, ((1, WAD),)))
    [seizure] = found(book)
    assert (seizure.kind, seizure.size) == ("seize", 900 * 10**6)
    assert seizure.spends == {USDC: 900 * 10**6}
    bought = 900 * 10**18 * 100 // (95 * 1_000)
    assert seizure.rewards == {USDC: -900 * 10**6, WETH: bought}
    assert seizure.reward_wad == bought * 1_000 - 900 * WAD
    assert seizure.after.health_wad == INFINITE_HEALTH


STALE = FeedAnswer(10**11, NOW - 3_601)


@pytest.mark.parametrize("weth", [STALE, FeedAnswer(0, NOW), FeedAnswer(0, 0, readable=False)])
def test_dust_of_a_collateral_without_a_fresh_price_shields_no_account(weth: FeedAnswer) -> None:
    long = ((0, EnginePosition(20 * WAD, 20_000 * WAD, 0)),)
    feeds = EngineReadings({ETH_FEED: FeedAnswer(10**11, NOW), WETH_FEED: weth})
    book = snapshot(state(), {WHO: EngineHoldings(900 * WAD, ((1, 1),), long)}, feeds)
    assert not PROTOCOL.screen(book, NOW).unpriced.any()
    [opportunity] = found(book)
    assert opportunity.kind == "liquidate"


def test_a_stale_collateral_counts_at_its_last_price_and_is_not_bought() -> None:
    long = ((0, EnginePosition(20 * WAD, 20_000 * WAD, 0)),)
    feeds = EngineReadings({ETH_FEED: FeedAnswer(10**11, NOW), WETH_FEED: STALE})
    book = snapshot(state(), {WHO: EngineHoldings(-100 * WAD, ((1, WAD),), long)}, feeds)
    assert PROTOCOL.health(book, 0, NOW).equity == 780 * WAD
    assert [opportunity.kind for opportunity in found(book)] == ["liquidate"]
    debtor = snapshot(state(), {WHO: EngineHoldings(-100 * WAD, ((1, WAD),))}, feeds)
    assert found(debtor) == []


def test_dust_is_gone_with_the_bad_debt_that_it_does_not_cover() -> None:
    long = EnginePosition(20 * WAD, 21_000 * WAD, 0)
    [dust] = found(book_of(EngineHoldings(900 * WAD, ((1, WAD // 1_000),), ((0, long),))))  # counts 0.88
    assert dust.details["bad_debt"] == 200 * WAD
    assert (dust.after.equity, dust.after.requirement) == (0, 0)
    [more] = found(book_of(EngineHoldings(900 * WAD, ((1, WAD // 800),), ((0, long),))))  # counts 1.1
    assert more.details["bad_debt"] == 0
    assert more.after.equity == -200 * WAD + 11 * WAD // 10


def test_a_bad_debt_waits_for_a_collateral_that_has_no_price() -> None:
    feeds = EngineReadings({ETH_FEED: FeedAnswer(10**11, NOW), WETH_FEED: FeedAnswer(0, NOW)})
    long = EnginePosition(20 * WAD, 21_000 * WAD, 0)
    book = snapshot(state(), {WHO: EngineHoldings(900 * WAD, ((1, 1),), ((0, long),))}, feeds)
    [opportunity] = found(book)
    assert opportunity.details["bad_debt"] == 0


def test_a_seizure_keeps_to_the_tokens_that_the_keeper_has() -> None:
    book = book_of(EngineHoldings(-900 * WAD, ((1, WAD),)))
    [seizure] = found(book, {token_key(USDC): 100 * 10**6})
    assert seizure.size == 100 * 10**6
    assert seizure.after.equity > seizure.before.equity
    assert found(book, {token_key(USDC): 0}) == []


def test_a_seizure_takes_no_more_than_there_is_and_the_rest_is_bad_debt() -> None:
    book = book_of(EngineHoldings(-2_000 * WAD, ((1, WAD),)))
    [seizure] = found(book)
    assert seizure.size == 950 * 10**6
    assert seizure.details["bad_debt"] == 1_050 * WAD
    assert not seizure.partial


def test_all_of_a_collateral_is_bid_for_with_room_for_a_rising_price_as_far_as_tokens_reach() -> None:
    book = book_of(EngineHoldings(-2_000 * WAD, ((1, WAD),)))
    [seizure] = found(book)
    assert seizure.spends == {USDC: 1_045 * 10**6 + 1}
    call = PROTOCOL.encode(book, seizure, 0)
    assert call.data == ABI.functions["seizeCollateral"].encode(WHO, WETH, 1_045 * 10**6 + 1, 95 * WAD // 100, NEVER)
    [bounded] = found(book, {token_key(USDC): 1_000 * 10**6})
    assert bounded.spends == {USDC: 1_000 * 10**6}
    assert bounded.size == 950 * 10**6


def test_collateral_of_a_safe_account_is_offered_only_beyond_the_debt_limit() -> None:
    position = ((0, EnginePosition(WAD, 1_000 * WAD, 0)),)
    assert found(book_of(EngineHoldings(-9_999 * WAD, ((1, 100 * WAD),), position))) == []
    [seizure] = found(book_of(EngineHoldings(-10_001 * WAD, ((1, 100 * WAD),), position)))
    assert not seizure.before.liquidatable


def test_a_paused_engine_is_a_hold() -> None:
    engine = state()
    paused = EngineState(engine.collaterals, engine.markets, 0, 0, engine.max_post_health, engine.debt_limit, True)
    with pytest.raises(Refused) as refusal:
        found(book_of(EngineHoldings(-WAD, ((1, WAD),)), paused))
    assert refusal.value.code == "hold"


def test_a_liquidations_floor_becomes_settlement_units_rounded_up() -> None:
    book = book_of(EngineHoldings(900 * WAD, (), ((0, EnginePosition(20 * WAD, 20_000 * WAD, 0)),)))
    [opportunity] = found(book)
    call = PROTOCOL.encode(book, opportunity, 3 * WAD + 1, deadline=NOW + 60)
    assert call.to == ENGINE
    assert call.data == ABI.functions["liquidate"].encode(WHO, 0, opportunity.size, 3 * 10**6 + 1, NOW + 60)
    least = ABI.functions["liquidate"].encode(WHO, 0, opportunity.size, 0, NEVER)
    assert PROTOCOL.encode(book, opportunity, -5).data == least


def test_a_seizures_floor_becomes_collateral_units_that_are_worth_it() -> None:
    book = book_of(EngineHoldings(-900 * WAD, ((1, WAD),)))
    [opportunity] = found(book)
    call = PROTOCOL.encode(book, opportunity, 10 * WAD, deadline=NOW + 60)
    assert call.data == ABI.functions["seizeCollateral"].encode(WHO, WETH, 900 * 10**6, 910 * WAD // 1_000, NOW + 60)
    at_most = PROTOCOL.encode(book, opportunity, opportunity.reward_wad)
    assert at_most.data[-64:-32] == opportunity.rewards[WETH].to_bytes(32, "big")


def test_success_is_read_from_the_engines_logs_of_this_account_and_keeper() -> None:
    other = b"\x33" * 20
    logs = [
        log("Liquidated", other, 0, KEEPER, 1, 1, 1, 1),
        log("Liquidated", WHO, 0, KEEPER, 5, 6, 7, 8),
        log("Liquidated", WHO, 0, KEEPER, 50, 60, 70, 80, address=b"\x01" * 20),
        log("CollateralSeized", WHO, 1, KEEPER, 100, 9),
        log("BadDebt", WHO, 11, 11, 0),
        log("BadDebt", other, 11, 11, 0),
        Log(ENGINE, (), b"", 5, b"", 0),
    ]
    done = PROTOCOL.achieved(state(), WHO, KEEPER, logs)
    assert done is not None
    assert done.rewards == {USDC: 8 - 9, WETH: 100}
    assert (done.size, done.bad_debt_wad, done.details["penalty"]) == (5 + 9, 11, 7)


def test_logs_of_another_keeper_are_no_success() -> None:
    assert PROTOCOL.achieved(state(), WHO, KEEPER, [log("Liquidated", WHO, 0, WHO, 5, 6, 7, 8)]) is None
    assert PROTOCOL.achieved(state(), WHO, KEEPER, []) is None


def test_every_error_of_the_engine_has_an_action() -> None:
    assert {error.name for error in ABI.errors.values()} == set(ACTIONS)


@pytest.mark.parametrize(
    ("name", "values", "action"),
    [
        ("NotLiquidatable", (-5, 4), RevertAction.SKIP),
        ("BlockCapReached", (9,), RevertAction.RETRY),
        ("EnforcedPause", (), RevertAction.HOLD),
        ("UnknownMarket", (9,), RevertAction.BUG),
    ],
)
def test_a_revert_is_explained_with_its_arguments(name: str, values: tuple[int, ...], action: RevertAction) -> None:
    error = next(error for error in ABI.errors.values() if error.name == name)
    revert = PROTOCOL.explain(error.selector + encode(error.inputs, values))
    assert (revert.name, revert.args, revert.action) == (name, values, action)


@pytest.mark.parametrize(
    ("data", "text", "action"),
    [
        (b"", "no reason()", RevertAction.RETRY),
        (b"\x01\x02", "0x0102()", RevertAction.RETRY),
        (bytes.fromhex("4e487b71") + (17).to_bytes(32, "big"), "Panic(17)", RevertAction.BUG),
        (bytes.fromhex("08c379a0") + encode(["string"], ["no"]), "Error(no)", RevertAction.RETRY),
        (bytes.fromhex("08c379a0"), "Error()", RevertAction.RETRY),
    ],
)
def test_other_reverts_are_explained_too(data: bytes, text: str, action: RevertAction) -> None:
    revert = PROTOCOL.explain(data)
    assert (str(revert), revert.action) == (text, action)


def test_a_feed_that_fails_before_encoding_is_refused() -> None:
    book = book_of(EngineHoldings(-900 * WAD, ((1, WAD),)))
    [opportunity] = found(book)
    late = snapshot(state(), {}, timestamp=NOW + 3_601)
    with pytest.raises(Refused):
        PROTOCOL.encode(late, opportunity, 0)
    assert WETH_FEED in late.readings.feeds
