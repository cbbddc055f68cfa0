"""Transactions put together from signatures that came from elsewhere, and the parsers of whatever signers answer."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from coincurve import PrivateKey
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given, settings, strategies as st

from keeper.errors import InvariantBroken, OperatorError, Transient
from keeper.execute.signing.calls import AnyCall
from keeper.execute.signing.encoding import (
    HALF_ORDER,
    ORDER,
    Signature,
    address_of,
    assembled,
    low,
    sender_of,
    transaction_in,
    unsigned,
)
from keeper.execute.signing.kms import KmsSigner, numbers_in, public_key_in
from keeper.execute.signing.local import from_private_key
from keeper.execute.signing.policy import SigningPolicy
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.remote import identifiers_in, signature_in
from keeper.execute.signing.signer import SignedTx, UnsignedTx
from tests.support.kms import KmsError, KmsKey, der

PATIENT = settings(deadline=None)  # 10,000 examples each: --hypothesis-profile=thorough
KEY = b"\x4c" * 32
PUBLIC = PrivateKey(KEY).public_key.format(compressed=False)[1:]
LOCAL = from_private_key(KEY.hex())
ENGINE = b"\xee" * 20
TX = UnsignedTx(31337, 7, ENGINE, b"\1\2\3\4", 500_000, 10**11, 10**9)
POLICY = SigningPolicy(31337, LOCAL.address, frozenset({ENGINE}), 10**12, calls=AnyCall())
WORDS = st.integers(1, ORDER - 1)
NUMBERS = st.integers(0, 2**64)


def found(digest: bytes) -> tuple[int, int, int]:
    raw = PrivateKey(KEY).sign_recoverable(digest, hasher=None)
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big"), raw[64]


@PATIENT
@given(nonce=NUMBERS, max_fee=NUMBERS, priority_fee=NUMBERS, gas=NUMBERS, data=st.binary(max_size=300))
def test_what_is_put_together_is_what_a_local_key_signs(nonce, max_fee, priority_fee, gas, data):
    tx = UnsignedTx(31337, nonce, ENGINE, data, gas, max_fee, priority_fee)
    r, s, parity = found(keccak(unsigned(tx)))
    fields = {"type": 2, "chainId": 31337, "nonce": nonce, "to": ENGINE, "data": data, "gas": gas, "value": 0}
    fees = {"maxFeePerGas": max_fee, "maxPriorityFeePerGas": priority_fee}
    expected = Account.from_key(KEY).sign_transaction(fields | fees)
    assert assembled(tx, Signature(r, s, parity)) == SignedTx(bytes(expected.raw_transaction), bytes(expected.hash))


@PATIENT
@given(nonce=NUMBERS, max_fee=NUMBERS, priority_fee=NUMBERS, gas=NUMBERS, data=st.binary(max_size=300))
def test_what_was_signed_is_read_back_with_its_signer(nonce, max_fee, priority_fee, gas, data):
    tx = UnsignedTx(31337, nonce, ENGINE, data, gas, max_fee, priority_fee)
    found_tx, signature = transaction_in(asyncio.run(LOCAL.sign(tx)).raw)
    assert found_tx == tx
    assert sender_of(found_tx, signature) == LOCAL.address


@PATIENT
@given(raw=st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: b"\x02" + data))
def test_other_bytes_are_no_transaction(raw):
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        transaction_in(raw)


@PATIENT
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_one_altered_bit_is_another_transaction_or_another_signer_or_neither(place, bit):
    raw = bytearray(asyncio.run(LOCAL.sign(TX)).raw)
    raw[place % len(raw)] ^= 1 << bit
    try:
        tx, signature = transaction_in(bytes(raw))
    except ValueError:
        return
    assert (tx, sender_of(tx, signature)) != (TX, LOCAL.address)


def test_a_transaction_with_an_access_list_is_none_of_the_keepers():
    fields = {"type": 2, "chainId": 31337, "nonce": 7, "to": ENGINE, "data": b"", "gas": 21_000, "value": 0}
    fields |= {"maxFeePerGas": 2, "maxPriorityFeePerGas": 1, "accessList": [{"address": ENGINE, "storageKeys": []}]}
    with pytest.raises(ValueError, match="an access list"):
        transaction_in(bytes(Account.from_key(KEY).sign_transaction(fields).raw_transaction))


@PATIENT
@given(st.binary(min_size=32, max_size=32))
def test_either_of_two_equivalent_signatures_becomes_the_low_one_with_its_parity(digest):
    r, s, parity = found(digest)
    assert s <= HALF_ORDER
    for either in (s, ORDER - s):
        assert low(r, either, digest, PUBLIC) == Signature(r, s, parity)


def test_a_signature_by_another_key_gets_some_parity_and_is_found_out_later():
    r, s, _ = found(b"\1" * 32)
    assert low(r, s, b"\2" * 32, PUBLIC).parity == 0


@PATIENT
@given(r=WORDS, s=WORDS)
def test_numbers_in_der_come_out_as_they_went_in(r, s):
    assert numbers_in(der(r, s)) == (r, s)


GOOD = der(*found(b"\3" * 32)[:2])
TEXT = b"0x" + bytes.hex(b"".join(n.to_bytes(32, "big") for n in found(b"\3" * 32)[:2]) + b"\x1b").encode()
CHANGES = st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4)


def mutated(good: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    """Bytes replaced, inserted and cut at some places."""
    for place, new, gone in changes:
        good = good[: place % (len(good) + 1)] + new + good[place % (len(good) + 1) + gone :]
    return good


@PATIENT
@given(st.one_of(st.binary(max_size=100), st.builds(mutated, st.just(GOOD), CHANGES)))
def test_any_der_is_two_numbers_or_an_error(answer):
    try:
        r, s = numbers_in(answer)
    except ValueError:
        return
    assert der(r, s) == answer


@PATIENT
@given(st.one_of(st.binary(max_size=200), st.builds(mutated, st.just(TEXT), CHANGES)))
def test_any_answer_of_a_remote_signer_is_a_signature_or_transient(answer):
    try:
        signature = signature_in(answer)
    except Transient:
        return
    packed = signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big")
    assert packed.hex().encode() in answer.lower()


@PATIENT
@given(st.one_of(st.binary(max_size=200), st.builds(mutated, st.just(b'["0x00","0x11"]'), CHANGES)))
def test_any_list_of_keys_is_texts_or_transient(answer):
    try:
        assert all(isinstance(key, str) for key in identifiers_in(answer))
    except Transient:
        return


@pytest.mark.parametrize("text", [TEXT, TEXT[2:], b'"' + TEXT + b'"\n', TEXT.upper().replace(b"X", b"x")])
def test_a_signature_is_taken_in_every_usual_spelling(text):
    assert (signature_in(text).r, signature_in(text).parity) == (found(b"\3" * 32)[0], 0)


@PATIENT
@given(st.one_of(st.binary(max_size=120), st.builds(mutated, st.just(KmsKey(KEY).public), CHANGES)))
def test_any_public_key_is_a_point_or_an_operators_error(answer):
    try:
        assert len(address_of(public_key_in(answer))) == 20
    except OperatorError:
        return


@PATIENT
@given(st.builds(mutated, st.just(GOOD), CHANGES))
def test_any_answer_of_kms_is_our_signature_an_error_or_a_fatal_stop(answer):
    """Through the policy signer: nothing that is not the keeper's, on the wire or as a crash."""
    key = KmsKey(KEY)
    key.spoil = lambda _: answer
    signer = PolicySigner(KmsSigner(key, "id", (KmsError,)), POLICY)

    async def sign() -> SignedTx:
        return await signer.sign(TX)

    with pytest.raises((Transient, InvariantBroken)):  # the signature is of another digest
        asyncio.run(sign())


@pytest.mark.parametrize("high_s", [False, True])
async def test_kms_signs_what_recovers_to_its_address(high_s):
    key = KmsKey(KEY)
    key.high_s = high_s
    signer = KmsSigner(key, "id", (KmsError,))
    signed = await PolicySigner(signer, POLICY).sign(TX)
    assert signer.address == LOCAL.address
    assert Account.recover_transaction(signed.raw) == Account.from_key(KEY).address


@pytest.mark.parametrize("spoilt", [{"public": b""}, {"public": None}, {"error": "AccessDeniedException"}])
def test_a_key_in_kms_that_cannot_be_used_is_one_line_without_its_arn(spoilt):
    key = KmsKey(KEY)
    for name, value in spoilt.items():
        setattr(key, name, value)
    with pytest.raises(OperatorError, match="KEEPER_KMS_KEY_ID") as caught:
        KmsSigner(key, "secret-arn", (KmsError,))
    assert "secret-arn" not in str(caught.value)
    assert not caught.value.__context__ or caught.value.__suppress_context__


class Slow:
    """A signer that takes its time."""

    address = LOCAL.address

    def __init__(self, wait: Callable[[], bool]) -> None:
        self.wait = wait
        self.asked = 0

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def sign(self, tx: UnsignedTx) -> SignedTx:
        self.asked += 1
        if self.wait():
            await asyncio.Event().wait()
        return await LOCAL.sign(tx)


async def test_a_signer_that_used_up_its_budget_is_left_alone_for_a_while():
    slow = Slow(lambda: slow.asked == 1)
    signer = PolicySigner(slow, POLICY, budget_s=0.05)
    with pytest.raises(Transient, match="KEEPER_SIGNER_TIMEOUT_S"):
        await signer.sign(TX)
    with pytest.raises(Transient, match="a moment ago"):
        await signer.sign(replace(TX, nonce=8))
    assert slow.asked == 1
    await asyncio.sleep(0.06)
    assert (await signer.sign(TX)).raw[0] == 2
