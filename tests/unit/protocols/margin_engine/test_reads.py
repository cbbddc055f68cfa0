"""A doubtful price is a problem, never a number; whoever does not depend on it is not concerned."""

import pytest
from eth_abi.abi import encode

from keeper.errors import InvariantBroken, Refused
from keeper.model.chain import CallResult
from keeper.model.health import WAD
from keeper.protocols.margin_engine.reads import EngineReadings, FeedAnswer
from keeper.protocols.margin_engine.state import EngineHoldings, EnginePosition
from tests.support.engine_state import ENGINE, ETH_FEED, NOW, PROTOCOL, WETH_FEED, market, readings, snapshot, state

GOOD = encode(["uint80", "int256", "uint256", "uint256", "uint80"], [1, 1_000 * 10**8, NOW, NOW, 1])
WHO, OTHER = b"\x11" * 20, b"\x22" * 20


def answered(*results: CallResult) -> EngineReadings:
    return PROTOCOL.decode_reads(state(), results)


def problems(found: EngineReadings, timestamp: int = NOW) -> dict[str, str]:
    return {price.label: price.problem for price in PROTOCOL.prices(snapshot(state(), {}, found), timestamp)}


def test_a_feed_is_asked_once_however_many_use_it() -> None:
    engine = state(market(0), market(1), market(2, feed=WETH_FEED))
    assert [call.to for call in PROTOCOL.reads(engine)] == [ETH_FEED, WETH_FEED]


def test_good_answers_become_prices_with_their_labels() -> None:
    found = answered(CallResult(True, GOOD), CallResult(True, GOOD))
    prices = PROTOCOL.prices(snapshot(state(), {}, found), NOW)
    assert [(price.label, price.price_wad, price.problem) for price in prices] == [
        ("M0", 1_000 * WAD, ""),
        ("WETH", 1_000 * WAD, ""),
    ]


def word(value: int) -> bytes:
    return (value % 2**256).to_bytes(32, "big")


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (CallResult(False, GOOD), "unreadable"),
        (CallResult(True, b""), "unreadable"),
        (CallResult(True, GOOD[:-1]), "unreadable"),
        (CallResult(True, word(2**80) + GOOD[32:]), "unreadable"),
        (CallResult(True, GOOD[:128] + word(-1)), "unreadable"),
        (CallResult(True, GOOD[:32] + word(2**120) + GOOD[64:]), "unreadable"),
        (CallResult(True, GOOD[:96] + word(-1) + GOOD[128:]), "unreadable"),
        (CallResult(True, GOOD[:32] + word(0) + GOOD[64:]), "zero"),
        (CallResult(True, GOOD[:32] + word(-5) + GOOD[64:]), "negative"),
        (CallResult(True, GOOD[:96] + word(NOW - 3_601) + GOOD[128:]), "stale"),
        (CallResult(True, GOOD[:96] + word(NOW - 3_600) + GOOD[128:]), ""),
        (CallResult(True, GOOD + b"\0"), ""),
    ],
)
def test_a_doubtful_answer_becomes_a_problem(result: CallResult, problem: str) -> None:
    assert problems(answered(result, CallResult(True, GOOD))) == {"M0": problem, "WETH": ""}


def test_a_missing_answer_breaks_the_invariant() -> None:
    with pytest.raises(InvariantBroken):
        answered(CallResult(True, GOOD))


def test_staleness_is_judged_at_the_timestamp_of_execution() -> None:
    assert problems(readings(), NOW + 3_600) == {"M0": "", "WETH": ""}
    assert problems(readings(), NOW + 3_601) == {"M0": "stale", "WETH": "stale"}


def test_only_accounts_that_depend_on_a_bad_feed_are_refused() -> None:
    long = ((0, EnginePosition(WAD, 1_000 * WAD, 0)),)
    feeds = EngineReadings({ETH_FEED: FeedAnswer(0, NOW), WETH_FEED: FeedAnswer(10**11, NOW)})
    accounts = {WHO: EngineHoldings(5 * WAD, (), long), OTHER: EngineHoldings(5 * WAD, ((1, WAD),))}
    book = snapshot(state(), accounts, feeds)
    with pytest.raises(Refused, match="zero") as refusal:
        PROTOCOL.health(book, 0, NOW)
    assert refusal.value.code == "unpriced"
    assert PROTOCOL.health(book, 1, NOW).equity == 885 * WAD
    screen = PROTOCOL.screen(book, NOW)
    assert screen.unpriced.tolist() == [True, False]
    assert screen.slack[1] == pytest.approx(885)


def test_the_audit_accepts_equality_and_a_revert_that_was_foreseen() -> None:
    accounts = {WHO: EngineHoldings(5 * WAD, (), ((0, EnginePosition(WAD, 990 * WAD, 0)),))}
    book = snapshot(state(), accounts)
    assert [call.to for call in PROTOCOL.audit(book, 0)] == [ENGINE]
    right = CallResult(True, encode(["int256", "uint256"], [15 * WAD, 50 * WAD]))
    wrong = CallResult(True, encode(["int256", "uint256"], [15 * WAD, 50 * WAD + 1]))
    assert PROTOCOL.audit_matches(book, 0, [right]) == ""
    assert str(50 * WAD + 1) in PROTOCOL.audit_matches(book, 0, [wrong])
    assert "reverts" in PROTOCOL.audit_matches(book, 0, [CallResult(False, b"")])
    assert "bytes" in PROTOCOL.audit_matches(book, 0, [CallResult(True, b"")])
    unpriced = snapshot(state(), accounts, readings({}))
    assert PROTOCOL.audit_matches(unpriced, 0, [CallResult(False, b"")]) == ""
    assert "refused" in PROTOCOL.audit_matches(unpriced, 0, [right])


def test_tokens_have_symbols_and_values() -> None:
    book = snapshot(state(), {})
    usdc, weth = PROTOCOL.token_symbols(state())
    assert PROTOCOL.token_symbols(state())[weth] == ("WETH", 18)
    assert PROTOCOL.value_wad(book, usdc, -3 * 10**6) == -3 * WAD
    assert PROTOCOL.value_wad(book, weth, 2 * WAD) == 2_000 * WAD
    assert PROTOCOL.value_wad(book, b"\x99" * 20, 5) == 0
    assert PROTOCOL.value_wad(snapshot(state(), {}, readings({})), weth, 5) == 0
    assert PROTOCOL.allowances(state()) == [(usdc, ENGINE)]
    assert PROTOCOL.allowances(PROTOCOL.initial_state()) == []
