"""Odd tokens are read as they are."""

import pytest
from eth_abi.abi import encode

from keeper.defi import erc20
from keeper.model.chain import CallResult

TOKEN = b"\x11" * 20


@pytest.mark.parametrize(
    ("answer", "symbol"),
    [
        (encode(["string"], ["USDC"]), "USDC"),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (encode(["string"], ["bad\nname"]), "badname"),
        (b"\x01", ""),
        (b"\xff" * 96, ""),
        (b"", ""),
    ],
)
def test_a_symbol_is_read_from_strings_and_bytes(answer: bytes, symbol: str) -> None:
    assert erc20.symbol_of(CallResult(True, answer)) == symbol


def test_what_a_token_does_not_say_is_not_made_up() -> None:
    failed = CallResult(False, b"")
    assert erc20.described(TOKEN, [failed, failed]) == erc20.Token(TOKEN, "", None)
    assert erc20.decimals_of(CallResult(True, (10**30).to_bytes(32, "big"))) is None
    assert erc20.decimals_of(CallResult(True, (6).to_bytes(32, "big"))) == 6
