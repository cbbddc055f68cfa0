"""`keeper executor sweep`: send what the contract holds to its treasury."""

from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.executor.amounts import COINS, TokenOrCoins, token_of, units_of
from keeper.cli.executor.contract import address_of, balance_of, executor_of
from keeper.cli.executor.sending import Live, Wait, say, send, sending_settings
from keeper.cli.interrupt import run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile
from keeper.cli.output import units
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.settings import Settings

Amount = Annotated[str, typer.Argument(help="Amount in whole tokens, such as 1500.25, or `all`.")]
Old = Annotated[
    str,
    typer.Option("--old", help="Address of an executor of version 1, to empty instead: it pays its owner, the signer."),
]


def command(
    token: TokenOrCoins,
    amount: Amount,
    old: Old = "",
    live: Live = False,
    wait: Wait = 120.0,
    env_file: EnvFile = DEFAULT_ENV_FILE,
) -> None:
    """Send tokens or coins that the executor holds to its treasury, and to nobody else.

    No keeper may run with the same signer meanwhile. Sends only with --live. Ends when the transaction is mined.
    """
    settings = sending_settings(env_file, live)
    run_interruptible(_sweep(settings, token, amount, wait, address_of("--old", old) if old else b""))


async def _sweep(settings: "Settings", wanted: str, amount: str, wait_s: float, old: bytes) -> None:
    from keeper.app.one_shot import OneShotTx
    from keeper.cli.session import connected
    from keeper.protocols import executor

    async with connected(settings) as session:
        address = old or executor_of(session)
        if old:
            await _check_old(session, old)
        token = await token_of(session, wanted, coins=not old)
        head = await session.chain.reader.head()
        if token.address == COINS:
            held = await session.chain.reader.balance(address, head)
        else:
            held = await balance_of(session.chain, token.address, address, head)
        decimals = token.decimals or 0
        taken = held if amount == "all" else units_of(amount, decimals)
        if not 0 < taken <= held:
            raise OperatorError(f"the executor holds {units(held, decimals)} {token.symbol}: {amount} cannot be taken")
        transfer = OneShotTx(address, executor.sweep(token.address, taken), executor.explain)
        await send(settings, session, transfer, wait_s)
        say(f"{units(taken, decimals)} {token.symbol} sent to the {'signer' if old else 'treasury'}")


async def _check_old(session: "Session", address: bytes) -> None:
    """Raises OperatorError for what is not an executor of version 1."""
    from keeper.abi import checksum
    from keeper.protocols import executor

    reader = session.chain.reader
    if not executor.outdated(await reader.read(await reader.head(), executor.ties_calls(address))):
        raise OperatorError(f"--old: {checksum(address)} is not an executor of version 1")
