"""The operator's limits on calls, and the accounts that calls are about."""

from dataclasses import replace
from typing import Any

import pytest

from keeper.errors import InvariantBroken, JournalAltered
from keeper.execute.journal.comparison import check_account
from keeper.execute.signing.calls import AdapterCalls, AnyCall, CallRules, ExactCall, LimitReached
from keeper.model.chain import BlockRef, Call
from keeper.model.intent import Intent, IntentState
from keeper.model.limits import TradeLimits
from keeper.model.stakes import Stakes, asset_of
from keeper.protocols.base import Defaults, Snapshot
from tests.support.permit_cases import ANN, BOB, CASES, COIN, GOLD

WAD = 10**18
AAVE = next(case for case in CASES if case.name == "aave_v3")
TWO, ONE, SAME, BATCH = AAVE.calls  # of BOB, of ANN, of BOB, and one of both


def rules(**limits: Any) -> AdapterCalls:
    found = AdapterCalls(AAVE.protocol, TradeLimits(**limits))
    found.see(AAVE.snapshot)
    return found


def sign(found: AdapterCalls, call: Call, replaces: bool = False) -> None:
    found.signed(found.check(call, replaces))


def test_without_limits_nothing_is_limited() -> None:
    found = rules()
    for _ in range(100):
        sign(found, ONE)


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ({"denied_accounts": frozenset({ANN})}, [TWO, SAME]),
        ({"only_accounts": frozenset({ANN})}, [ONE]),
        ({"denied_assets": frozenset({asset_of(GOLD)})}, [SAME]),
        ({"only_assets": frozenset({asset_of(COIN), asset_of(GOLD)})}, [ONE, SAME, BATCH]),
        ({"notional_wad": WAD}, [TWO, ONE, SAME]),
        ({"notional_wad": WAD - 1}, []),
        ({"notional_block_wad": WAD}, [TWO, ONE, SAME]),
    ],
)
def test_a_limit_forbids_what_it_names_and_nothing_else(limits: dict[str, Any], allowed: list[Call]) -> None:
    assert [call for call in AAVE.calls if rules(**limits).refusals([call]) == [""]] == allowed
    for call in AAVE.calls:
        if call in allowed:
            sign(rules(**limits), call)
        else:
            with pytest.raises(LimitReached, match="KEEPER_"):
                sign(rules(**limits), call)


def test_what_is_signed_together_is_counted_together() -> None:
    assert [bool(why) for why in rules(notional_block_wad=2 * WAD).refusals([ONE, BATCH, SAME, TWO])] == [
        False, True, False, True,
    ]  # fmt: skip
    assert [bool(why) for why in rules(messages_block=2).refusals([ONE, SAME, TWO])] == [False, False, True]


def test_a_block_begins_with_nothing_signed_and_a_replacement_adds_no_notional() -> None:
    found = rules(notional_block_wad=WAD, messages_block=3)
    sign(found, ONE)
    with pytest.raises(LimitReached, match="KEEPER_MAX_NOTIONAL_USD_BLOCK"):
        sign(found, SAME)
    sign(found, ONE, replaces=True)
    found.signed(None)  # a cancellation
    with pytest.raises(LimitReached, match="KEEPER_MAX_MESSAGES_BLOCK"):
        sign(found, ONE, replaces=True)
    found.see(AAVE.snapshot)
    with pytest.raises(LimitReached):
        sign(found, SAME)
    found.see(replace(AAVE.snapshot, block=BlockRef(8, b"\x08" * 32, b"\x07" * 32, 0)))
    sign(found, SAME)


def test_what_has_no_price_is_not_within_a_limit_on_notional() -> None:
    unknown = Stakes((ANN,), frozenset({asset_of(GOLD)}), None)
    assert "unknown" in TradeLimits(notional_wad=WAD).refusal(unknown)
    assert TradeLimits(denied_accounts=frozenset({BOB})).refusal(unknown) == ""
    assert (unknown + Stakes((BOB,), frozenset(), 5)).notional_wad is None


def test_nothing_is_signed_before_a_block_was_read() -> None:
    with pytest.raises(LimitReached, match="no block"):
        AdapterCalls(AAVE.protocol).check(ONE, replaces=False)


def test_a_policy_that_names_no_rules_permits_no_call() -> None:
    with pytest.raises(InvariantBroken):
        CallRules().check(ONE, replaces=False)


def test_a_command_may_sign_its_own_call_and_no_other() -> None:
    exact = ExactCall(ONE)
    exact.check(ONE, replaces=False)
    for other in (SAME, replace(ONE, to=GOLD), replace(ONE, data=ONE.data + b"\0")):
        with pytest.raises(InvariantBroken):
            exact.check(other, replaces=False)


def test_an_adapter_that_does_not_say_what_it_may_call_is_not_asked() -> None:
    adapter: Any = Defaults()
    found = AdapterCalls(adapter)
    found.see(Snapshot(AAVE.snapshot.block, None, AAVE.snapshot.columns, None))
    assert found.check(Call(GOLD, b"anything"), replaces=False) is None
    assert AnyCall().check(Call(GOLD, b"anything"), replaces=False) is None


def intent(call: Call, account: bytes) -> Intent:
    return Intent(3, account, "liquidate", "", 1, IntentState.PENDING, 0, call.to, call.data, 1, 1, 1, 1, 1)


def test_the_account_of_an_intent_is_that_of_its_calldata() -> None:
    found = rules()
    assert found.accounts_of(ONE) == (ANN,)
    assert found.accounts_of(BATCH) == (ANN, BOB)
    assert found.accounts_of(Call(GOLD, b"")) == ()
    check_account(intent(ONE, ANN), found.accounts_of(ONE))
    check_account(intent(BATCH, BATCH.to), found.accounts_of(BATCH))
    check_account(intent(Call(GOLD, b""), ANN), ())
    for call, account in ((ONE, BOB), (BATCH, ANN)):
        with pytest.raises(JournalAltered, match="intent 3: column account"):
            check_account(intent(call, account), found.accounts_of(call))
