"""ERC-20 views that every adapter reads, also of tokens that break the standard. Pure."""

from dataclasses import dataclass

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from keeper.model.chain import Call, CallResult

_WORD = 32
_MOST_DECIMALS = 77  # 10^77 is the largest power of ten in a word
TRANSFER = keccak(text="Transfer(address,address,uint256)")
_DECIMALS = keccak(text="decimals()")[:4]
_SYMBOL = keccak(text="symbol()")[:4]
_BALANCE_OF = keccak(text="balanceOf(address)")[:4]


@dataclass(frozen=True, slots=True)
class Token:
    """A token's own description. `decimals`: None when it returns none."""

    address: bytes
    symbol: str
    decimals: int | None


def decimals(token: bytes) -> Call:
    return Call(token, _DECIMALS)


def symbol(token: bytes) -> Call:
    return Call(token, _SYMBOL)


def balance_of(token: bytes, holder: bytes) -> Call:
    return Call(token, _BALANCE_OF + holder.rjust(_WORD, b"\0"))


def describe(token: bytes) -> list[Call]:
    """What `described` decodes."""
    return [decimals(token), symbol(token)]


def described(token: bytes, results: list[CallResult]) -> Token:
    return Token(token, symbol_of(results[1]), decimals_of(results[0]))


def decimals_of(result: CallResult) -> int | None:
    """None when the token has no such view, or returns an implausible number."""
    found = amount_of(result)
    return found if found is not None and found <= _MOST_DECIMALS else None


def amount_of(result: CallResult) -> int | None:
    """An unsigned one-word answer, a balance for instance; None when it is not one."""
    if not result.ok or len(result.data) != _WORD:
        return None
    return int.from_bytes(result.data, "big")


def symbol_of(result: CallResult) -> str:
    """A symbol as string or, of old tokens such as MKR, as bytes32; printable characters alone, empty when none."""
    if not result.ok:
        return ""
    raw = result.data.rstrip(b"\0") if len(result.data) == _WORD else _string(result.data)
    return "".join(letter for letter in raw.decode("utf-8", "replace") if letter.isprintable())


def _string(answer: bytes) -> bytes:
    try:
        return bytes(decode(["bytes"], answer)[0])
    except (DecodingError, OverflowError):
        return b""
