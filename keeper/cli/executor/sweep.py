"""`keeper executor sweep`: send what the contract holds to its owner."""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.executor.contract import address_of, balance_of, executor_of
from keeper.cli.executor.sending import Live, Wait, say, send, sending_settings
from keeper.cli.interrupt import run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile
from keeper.cli.output import units
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.defi.erc20 import Token
    from keeper.settings import Settings

TokenName = Annotated[str, typer.Argument(help="Address of the token, or its symbol if the protocol uses the token.")]
Amount = Annotated[str, typer.Argument(help="Amount in whole tokens, such as 1500.25, or `all`.")]


def command(
    token: TokenName, amount: Amount, live: Live = False, wait: Wait = 120.0, env_file: EnvFile = DEFAULT_ENV_FILE
) -> None:
    """Send tokens that the executor holds to its owner, the signer.

    No keeper may run with the same signer meanwhile. Sends only with --live. Ends when the transaction is mined.
    """
    settings = sending_settings(env_file, live)
    run_interruptible(_sweep(settings, token, amount, wait))


async def _sweep(settings: "Settings", wanted: str, amount: str, wait_s: float) -> None:
    from keeper.app.one_shot import OneShotTx
    from keeper.cli.session import connected
    from keeper.protocols import executor

    async with connected(settings) as session:
        address = executor_of(session)
        token = await _token(session, wanted)
        head = await session.chain.reader.head()
        held = await balance_of(session.chain, token.address, address, head)
        decimals = token.decimals or 0
        taken = held if amount == "all" else _units(amount, decimals)
        if not 0 < taken <= held:
            raise OperatorError(f"the executor holds {units(held, decimals)} {token.symbol}: {amount} cannot be taken")
        transfer = OneShotTx(address, executor.sweep(token.address, taken), executor.explain)
        await send(settings, session, transfer, wait_s)
        say(f"{units(taken, decimals)} {token.symbol} sent to the owner")


async def _token(session: "Session", wanted: str) -> "Token":
    """The token with this address or symbol. Raises OperatorError."""
    from keeper.cli.session import snapshot_at
    from keeper.defi import erc20

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


def _units(text: str, decimals: int) -> int:
    """Token units of a decimal number. Raises OperatorError for other text, or too many decimals."""
    try:
        amount = Decimal(text).scaleb(decimals)
        whole = amount.is_finite() and amount == amount.to_integral_value()
    except InvalidOperation:
        whole = False
    if not whole:
        raise OperatorError(f"AMOUNT: {text} is not an amount with at most {decimals} decimals")
    return int(amount)
