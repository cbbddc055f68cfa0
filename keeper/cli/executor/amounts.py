"""Tokens and amounts that `keeper executor` commands are given."""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.executor.contract import address_of
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.defi.erc20 import Token

NATIVE = "native"
COINS = bytes(20)  # the contract's word for the native coin
COIN_DECIMALS = 18

TokenName = Annotated[str, typer.Argument(help="Address of the token, or its symbol if the protocol uses the token.")]
TokenOrCoins = Annotated[
    str, typer.Argument(help="Address of the token, its symbol if the protocol uses it, or `native` for the coin.")
]


async def token_of(session: "Session", wanted: str, coins: bool = False) -> "Token":
    """The token with this address or symbol, the native coin where `coins`. Raises OperatorError."""
    from keeper.cli.session import snapshot_at
    from keeper.defi import erc20

    if coins and wanted == NATIVE:
        return erc20.Token(COINS, "of the native coin", COIN_DECIMALS)
    if not wanted.startswith("0x"):
        known = session.protocol.token_symbols((await snapshot_at(session, None)).state)
        found = [address for address, (symbol, _) in known.items() if symbol == wanted]
        if len(found) != 1:
            names = ", ".join(sorted({symbol for symbol, _ in known.values()}))
            raise OperatorError(f"TOKEN: {wanted} is not one of {names or 'the known symbols'}: give an address")
        [address] = found
    else:
        address = address_of("TOKEN", wanted)
    reader = session.chain.reader
    return erc20.described(address, await reader.read(await reader.head(), erc20.describe(address)))


def units_of(text: str, decimals: int, name: str = "AMOUNT") -> int:
    """Units of a decimal number. Raises OperatorError for other text, or too many decimals."""
    try:
        amount = Decimal(text).scaleb(decimals)
        whole = amount.is_finite() and amount == amount.to_integral_value()
    except InvalidOperation:
        whole = False
    if not whole:
        raise OperatorError(f"{name}: {text} is not an amount: give a number with at most {decimals} decimals")
    return int(amount)
