"""Whatever a relay may answer is accepted, refused or unknown: never a crash, and never a yes that was not said."""

import json

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings, strategies as st

from keeper.chain.errors import RpcError
from keeper.chain.relay import Relay, _acknowledges, _offer, _refusal
from keeper.errors import Transient
from keeper.model.intent import Route, SendStatus

PATIENT = settings(deadline=None)  # 10,000 examples each: --hypothesis-profile=thorough
RAW = b"\2raw"
HASH = "0x" + keccak(RAW).hex()
GOOD = json.dumps({"jsonrpc": "2.0", "id": 1, "result": HASH}).encode()
CHANGES = st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4)
RELAY = Relay("https://relay.example/secret-token", 1.0)


def mutated(changes: list[tuple[int, bytes, int]]) -> bytes:
    good = GOOD
    for place, new, gone in changes:
        good = good[: place % (len(good) + 1)] + new + good[place % (len(good) + 1) + gone :]
    return good


@PATIENT
@given(st.one_of(st.binary(max_size=200), st.builds(mutated, CHANGES)), st.sampled_from([200, 400, 429, 500]))
def test_any_body_is_a_result_or_transient(body, status):
    try:
        answer = RELAY._result(body, status, 1)
    except Transient:
        return
    assert status == 200
    assert not _acknowledges(answer, RAW, Route.PRIVATE) or HASH.encode() in body.lower()


@pytest.mark.parametrize("answer", [None, True, 1, [], {}, "0x", HASH + "00", {"bundleHash": 1}])
def test_only_our_hash_or_a_bundles_name_is_a_yes(answer):
    assert not _acknowledges(answer, RAW, Route.PRIVATE)
    assert not _acknowledges(answer, RAW, Route.BUNDLE)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("nonce too low", SendStatus.REFUSED),
        ("unauthorised", SendStatus.REFUSED),
        ("already known", SendStatus.ACCEPTED),
        ("rate limit exceeded", SendStatus.UNKNOWN),
    ],
)
def test_a_relays_error_says_nothing_of_nonces(message, status):
    verdict = _refusal(RpcError(-32000, message))
    assert (verdict.status, verdict.reason == "relay_refused") == (status, status is SendStatus.REFUSED)


def test_offers_are_as_relays_document_them():
    assert _offer(RAW, Route.PRIVATE, 9, 12) == (
        "eth_sendPrivateTransaction",
        {"tx": "0x02726177", "maxBlockNumber": "0xc", "preferences": {"fast": True}},
    )
    method, what = _offer(RAW, Route.BUNDLE, 9, 12)
    assert (method, what["txs"], what["blockNumber"]) == ("eth_sendBundle", ["0x02726177"], "0xa")
