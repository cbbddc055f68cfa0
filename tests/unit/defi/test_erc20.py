"""Odd tokens are read as they are, and transfers add up."""

import pytest
from eth_abi.abi import encode

from keeper.defi import erc20
from keeper.model.chain import CallResult, Log

TOKEN, OTHER = b"\x11" * 20, b"\x22" * 20
HOLDER, SOMEONE = b"\xaa" * 20, b"\xbb" * 20


def transfer(token: bytes, sender: bytes, to: bytes, units: int, *more: bytes) -> Log:
    topics = (erc20.TRANSFER, sender.rjust(32, b"\0"), to.rjust(32, b"\0"), *more)
    return Log(token, topics, b"" if more else units.to_bytes(32, "big"), 1, b"\1" * 32, 0)


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


def test_transfers_net_by_token_and_nfts_are_none() -> None:
    logs = [
        transfer(TOKEN, SOMEONE, HOLDER, 100),
        transfer(TOKEN, HOLDER, SOMEONE, 130),
        transfer(TOKEN, HOLDER, HOLDER, 7),
        transfer(OTHER, SOMEONE, HOLDER, 5),
        transfer(OTHER, HOLDER, SOMEONE, 5),
        transfer(OTHER, SOMEONE, HOLDER, 0, b"\x09" * 32),
    ]
    assert erc20.net_transfers(logs, HOLDER) == {TOKEN: -30}
    assert erc20.net_transfers(logs, SOMEONE) == {TOKEN: 30}
