"""`keeper executor sell`: turn what liquidations left into a token of the held list."""

from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.executor.amounts import TokenName, token_of, units_of
from keeper.cli.executor.contract import address_of, executor_of
from keeper.cli.executor.sending import Live, Wait, say, send, sending_settings
from keeper.cli.interrupt import run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.defi.erc20 import Token
    from keeper.settings import Settings

LeastOut = Annotated[
    str, typer.Argument(help="Least amount that the sale must bring, in whole tokens of what the last pool pays out.")
]
Pools = Annotated[list[str], typer.Option("--pool", help="Address of a Uniswap v3 pool; several are used in order.")]


def command(
    token: TokenName,
    least: LeastOut,
    pool: Pools,
    live: Live = False,
    wait: Wait = 120.0,
    env_file: EnvFile = DEFAULT_ENV_FILE,
) -> None:
    """Sell all that the executor holds of a token, through pools of its factory, into a token of its held list.

    Tokens of the list themselves are sold by the treasury only (`keeper executor treasury sell`). No keeper may run
    with the same signer meanwhile. Sends only with --live. Ends when the transaction is mined.
    """
    settings = sending_settings(env_file, live)
    run_interruptible(_sell(settings, token, least, [address_of("--pool", one) for one in pool], wait))


async def _sell(settings: "Settings", wanted: str, least: str, pools: list[bytes], wait_s: float) -> None:
    from keeper.app.one_shot import OneShotTx
    from keeper.cli.session import connected
    from keeper.protocols import executor

    async with connected(settings) as session:
        address = executor_of(session)
        data, what = await sale(session, wanted, least, pools)
        await send(settings, session, OneShotTx(address, data, executor.explain), wait_s)
        say(f"done: {what}")


async def sale(session: "Session", wanted: str, least: str, pools: list[bytes]) -> tuple[bytes, str]:
    """Calldata of a sale, and what it does in words. Raises OperatorError for pools that do not lead on."""
    from keeper.protocols import executor

    token = await token_of(session, wanted)
    into = await _end(session, token.address, pools)
    units = units_of(least, into.decimals or 0, "LEAST")
    if units <= 0:
        raise OperatorError("LEAST: a sale needs an amount above zero")
    return executor.sell(token.address, pools, units), f"sell all {token.symbol} for at least {least} {into.symbol}"


async def _end(session: "Session", token: bytes, pools: list[bytes]) -> "Token":
    """The token that the last pool pays."""
    from keeper.abi import checksum
    from keeper.defi import erc20, uniswap_reads

    reader = session.chain.reader
    head = await reader.head()
    for address in pools:
        pool = uniswap_reads.described(address, await reader.read(head, uniswap_reads.describe(address)))
        if pool is None or token not in (pool.token0, pool.token1):
            raise OperatorError(f"--pool: {checksum(address)} is not a pool of {checksum(token)}")
        token = pool.token1 if token == pool.token0 else pool.token0
    return erc20.described(token, await reader.read(head, erc20.describe(token)))
