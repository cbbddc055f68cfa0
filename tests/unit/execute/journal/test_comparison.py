"""Rows against what was written, and against what the key signed."""

import asyncio
from dataclasses import replace

import pytest

from keeper.errors import JournalAltered
from keeper.execute.journal.comparison import check_rows, check_signed
from keeper.execute.signing.local import from_private_key
from keeper.execute.signing.signer import UnsignedTx
from keeper.model.chain import Call
from keeper.model.fees import Fees
from keeper.model.intent import FILL, Attempt, Intent, IntentState, Outcome, Route, TxRequest, intent_from

LOCAL, OTHER = from_private_key("4c" * 32), from_private_key("5c" * 32)
ENGINE, DATA = b"\xee" * 20, b"\1\2\3" * 30
CHAIN_ID = 31337
REQUEST = TxRequest(b"\1" * 20, "take", "ETH", 5, Call(ENGINE, DATA), 400_000, Fees(100, 1), 900, 7, 10, 16)
OUTCOME = Outcome(b"\1" * 32, 12, b"\2" * 32, 1, 21_000, 2**70, {})
S = IntentState


def signed(max_fee: int = 100, cancels: bool = False, signer=LOCAL, **changes: object) -> Attempt:
    to, data, gas = (LOCAL.address, b"", 21_000) if cancels else (ENGINE, DATA, 400_000)
    tx = replace(UnsignedTx(CHAIN_ID, 7, to, data, gas, max_fee, 1), **changes)
    found = asyncio.run(signer.sign(tx))
    return Attempt(3, found.tx_hash, found.raw, max_fee, 1, cancels, 10)


def intent(state: IntentState, *attempts: Attempt, **changes: object) -> Intent:
    return replace(intent_from(REQUEST, 3, 7), state=state, attempts=attempts, **changes)


PENDING = intent(S.PENDING, signed())


@pytest.mark.parametrize(
    "changes",
    [
        {"account": b"\2" * 20}, {"kind": "liquidate"}, {"subject": "BTC"}, {"size": 6}, {"state": S.SIGNED},
        {"nonce": 8}, {"to": b"\xef" * 20}, {"data": b""}, {"gas_limit": 1}, {"bid": 901}, {"value_wad": 8},
        {"planned_block": 11}, {"deadline_block": 17}, {"uses": {"cap": 1}}, {"spends": {ENGINE: 1}},
        {"outcome": OUTCOME},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_each_column_of_an_intent_is_compared(changes):
    check_rows(PENDING, PENDING)
    with pytest.raises(JournalAltered, match=f"intent 3: column {next(iter(changes))} is") as caught:
        check_rows(PENDING, replace(PENDING, **changes))
    assert caught.value.intent_id == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"tx_hash": b"\2" * 32}, {"raw": b"\2"}, {"max_fee": 101}, {"priority_fee": 2}, {"cancels": True},
        {"signed_block": 11}, {"route": Route.PRIVATE},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_each_column_of_an_attempt_is_compared(changes):
    altered = replace(PENDING, attempts=(replace(PENDING.attempts[0], **changes),))
    with pytest.raises(JournalAltered, match=f"column {next(iter(changes))} of attempt 1"):
        check_rows(PENDING, altered)


def test_missing_and_planted_rows_are_named():
    with pytest.raises(JournalAltered, match="the row of intent 3 is missing"):
        check_rows(PENDING, None)
    with pytest.raises(JournalAltered, match="the number of attempts is 0 instead of 1"):
        check_rows(PENDING, replace(PENDING, attempts=()))


def test_a_message_shows_both_values_around_the_place_where_they_differ():
    data = DATA[:60] + b"\xff" + DATA[61:]
    with pytest.raises(JournalAltered) as caught:
        check_rows(PENDING, replace(PENDING, data=data))
    assert "0203ff0203" in str(caught.value)
    assert "0203010203" in str(caught.value)
    assert "(182 characters)" in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "found",
    [
        intent(S.RESERVED),
        intent(S.SIGNED, signed()),
        PENDING,
        intent(S.PENDING, signed(), signed(200)),
        intent(S.CANCELLING, signed(), signed(200, cancels=True)),
        intent(S.CANCELLING, signed(cancels=True), kind=FILL, to=LOCAL.address, data=b""),
        intent(S.MINED, signed(), outcome=replace(OUTCOME, tx_hash=signed().tx_hash)),
        intent(S.SUPERSEDED, signed(), signed(200, cancels=True)),
    ],
    ids=lambda found: f"{found.state}-{len(found.attempts)}",
)
def test_what_the_key_signed_passes(found):
    check_signed(found, LOCAL.address, CHAIN_ID)


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (intent(S.SIGNED), "the number of attempts"),
        (intent(S.CANCELLING), "the number of attempts"),
        (intent(S.RESERVED, signed()), "column state"),
        (intent(S.CANCELLING, signed()), "column state"),
        (intent(S.PENDING, signed(), signed(200, cancels=True)), "column state"),
        (intent(S.CANCELLING, signed(cancels=True)), "column cancels"),
        (intent(S.CANCELLING, signed(cancels=True), signed(200)), "column cancels"),
        (intent(S.PENDING, replace(signed(), raw=b"\2\1")), "column raw of attempt 1"),
        (intent(S.PENDING, replace(signed(), tx_hash=b"\1" * 32)), "column tx_hash of attempt 1"),
        (intent(S.PENDING, signed(signer=OTHER)), "signer of the bytes of attempt 1"),
        (intent(S.PENDING, signed(chain_id=1)), "chain id of the bytes of attempt 1"),
        (intent(S.PENDING, signed(value=1)), "column value of attempt 1"),
        (intent(S.PENDING, signed(), signed(200, data=b"")), "column data of attempt 2"),
        (intent(S.CANCELLING, signed(), signed(200, cancels=True, data=b"\1")), "column data of attempt 2"),
        (intent(S.PENDING, replace(signed(), max_fee=101)), "column max_fee of attempt 1"),
        (intent(S.PENDING, signed(), nonce=8), "column nonce of attempt 1"),
        (intent(S.PENDING, signed(), to=b"\xef" * 20), "column to of attempt 1"),
        (intent(S.PENDING, signed(), gas_limit=400_001), "column gas of attempt 1"),
        (intent(S.PENDING, signed(), kind=FILL), "column cancels"),
        (intent(S.PENDING, signed(), outcome=OUTCOME), "column state"),
        (intent(S.MINED, signed(), outcome=OUTCOME), "column tx_hash of its outcome"),
    ],
)
def test_what_the_key_did_not_sign_so_is_altered(found, what):
    with pytest.raises(JournalAltered, match=f"intent 3: {what} is"):
        check_signed(found, LOCAL.address, CHAIN_ID)
