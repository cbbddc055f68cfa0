"""Keys, what may be signed with them, and what a signer may return."""

import json
from dataclasses import replace

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given, strategies as st

from keeper.abi import load_abi
from keeper.errors import InvariantBroken, OperatorError
from keeper.execute.signing.calls import AnyCall
from keeper.execute.signing.local import LocalSigner, from_keystore, from_private_key
from keeper.execute.signing.policy import MAX_TX_GAS, SigningPolicy
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.signer import SignedTx, UnsignedTx

KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
SIGNER = from_private_key(KEY)
ENGINE, TOKEN, STRANGER = b"\xee" * 20, b"\xcc" * 20, b"\xdd" * 20
POLICY = SigningPolicy(
    31337, SIGNER.address, frozenset({ENGINE}), 10**12, allowances=frozenset({(TOKEN, ENGINE)}), calls=AnyCall()
)
UNLIMITED = 2**256 - 1
TX = UnsignedTx(31337, 7, ENGINE, b"\1\2\3\4", 500_000, 10**11, 10**9)
APPROVE = load_abi("IERC20Metadata").functions["approve"]
TRANSFER = load_abi("IERC20Metadata").functions["transfer"]


@pytest.fixture(scope="module")
def keystore(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keystore.json"
    path.write_text(json.dumps(Account.encrypt(KEY, "correct", kdf="pbkdf2", iterations=1000)))
    path.chmod(0o600)
    return path


def test_a_key_shows_in_no_repr():
    assert KEY not in repr(SIGNER)
    assert repr(SIGNER) == "LocalSigner(0x2c7536E3605D9C16a7a3D7b1898e529396a65c23)"


@pytest.mark.parametrize("text", [KEY, "0x" + KEY, f" {KEY}\n", KEY.upper()])
def test_a_key_is_taken_in_every_usual_spelling(text):
    assert from_private_key(text).address == SIGNER.address


@pytest.mark.parametrize("text", ["", "hunter22", KEY[:-2], KEY + "00", "0x" + "g" * 64, "00" * 32, "ff" * 32])
def test_a_malformed_key_is_an_operators_error_that_does_not_repeat_it(text):
    with pytest.raises(OperatorError) as caught:
        from_private_key(text)
    assert caught.value.exit_code == 2
    assert "KEEPER_PRIVATE_KEY" in str(caught.value)
    assert not text or text not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_keystore_opens_with_its_password(keystore):
    assert from_keystore(keystore, "correct").address == SIGNER.address


def test_a_wrong_password_is_one_line_without_the_password(keystore):
    with pytest.raises(OperatorError, match="wrong password") as caught:
        from_keystore(keystore, "incorrect")
    assert "incorrect" not in str(caught.value)


def test_an_unreadable_keystore_names_the_setting(tmp_path):
    with pytest.raises(OperatorError, match="KEEPER_KEYSTORE_FILE: cannot read"):
        from_keystore(tmp_path / "none.json", "x")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "{}", '{"version": 1}', '{"version": 3}', '{"version": 3, "crypto": {}}']
)
def test_a_file_that_is_no_keystore_says_what_to_give(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(OperatorError, match=r"not an encrypted keystore .*: give the JSON file that geth"):
        from_keystore(path, "x")


async def test_what_the_policy_signer_signs_recovers_to_the_keeper():
    signed = await PolicySigner(SIGNER, POLICY).sign(TX)
    assert Account.recover_transaction(signed.raw) == "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"


FORBIDDEN = {
    "a stranger": replace(TX, to=STRANGER),
    "a value": replace(TX, value=1),
    "another chain": replace(TX, chain_id=1),
    "a fee above the cap": replace(TX, max_fee=10**12 + 1),
    "a tip above the fee": replace(TX, priority_fee=10**11 + 1),
    "too much gas": replace(TX, gas=MAX_TX_GAS + 1),
    "no gas": replace(TX, gas=0),
    "data to itself": replace(TX, to=SIGNER.address),
    "a transfer of a token": replace(TX, to=TOKEN, data=TRANSFER.encode(STRANGER, 1)),
    "an approval of a stranger": replace(TX, to=TOKEN, data=APPROVE.encode(STRANGER, UNLIMITED)),
    "an approval on another token": replace(TX, to=STRANGER, data=APPROVE.encode(ENGINE, UNLIMITED)),
    "an approval of another amount": replace(TX, to=TOKEN, data=APPROVE.encode(ENGINE, 5)),
    "the creation of a contract": replace(TX, to=b""),
    "an approval with a tail": replace(TX, to=TOKEN, data=APPROVE.encode(ENGINE, UNLIMITED) + b"\0"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
async def test_the_policy_signer_refuses(name):
    with pytest.raises(InvariantBroken, match="refused to sign"):
        await PolicySigner(SIGNER, POLICY).sign(FORBIDDEN[name])


@pytest.mark.parametrize(
    "tx",
    [
        TX,
        replace(TX, to=SIGNER.address, data=b"", gas=21_000),
        replace(TX, to=TOKEN, data=APPROVE.encode(ENGINE, UNLIMITED)),
    ],
)
async def test_the_policy_signer_signs_calls_cancellations_and_known_approvals(tx):
    assert (await PolicySigner(SIGNER, POLICY).sign(tx)).raw[0] == 2


async def test_only_the_one_creation_that_the_policy_names_is_signed() -> None:
    creating = replace(TX, to=b"", data=b"code")
    allowed = replace(POLICY, creation=keccak(b"code"))
    assert (await PolicySigner(SIGNER, allowed).sign(creating)).raw[0] == 2
    for other in (replace(creating, data=b"codes"), replace(creating, data=b""), replace(creating, value=1)):
        with pytest.raises(InvariantBroken, match="refused to sign"):
            await PolicySigner(SIGNER, allowed).sign(other)


@given(to=st.binary(min_size=20, max_size=20), data=st.binary(max_size=80))
def test_no_other_address_is_ever_called(to, data):
    if to not in (ENGINE, TOKEN, SIGNER.address):
        with pytest.raises(InvariantBroken):
            POLICY.check(replace(TX, to=to, data=data))


def test_a_spender_that_is_no_target_cannot_be_approved():
    with pytest.raises(InvariantBroken, match="no contract of the deployment"):
        PolicySigner(SIGNER, POLICY).allow(frozenset({(TOKEN, STRANGER)}))


class Crooked:
    """A signer that signs something else, or with another key."""

    def __init__(self, signer: LocalSigner, change: dict[str, object], as_hash: bytes | None = None) -> None:
        self.address = SIGNER.address
        self._signer, self._change, self._hash = signer, change, as_hash

    async def sign(self, tx: UnsignedTx) -> SignedTx:
        signed = await self._signer.sign(replace(tx, **self._change))
        return SignedTx(signed.raw, self._hash or signed.tx_hash)


CROOKED = {
    "another sender": Crooked(from_private_key("11" * 32), {}),
    "another nonce": Crooked(SIGNER, {"nonce": 8}),
    "another to": Crooked(SIGNER, {"to": STRANGER}),
    "another chainId": Crooked(SIGNER, {"chain_id": 1}),
    "another value": Crooked(SIGNER, {"value": 5}),
    "another maxFeePerGas": Crooked(SIGNER, {"max_fee": 10**13}),
    "a wrong hash": Crooked(SIGNER, {}, b"\0" * 32),
}


@pytest.mark.parametrize("what", CROOKED)
async def test_a_signer_that_returns_something_else_is_found_out(what):
    with pytest.raises(InvariantBroken, match=f"the signer returned {what}"):
        await PolicySigner(CROOKED[what], POLICY).sign(TX)
