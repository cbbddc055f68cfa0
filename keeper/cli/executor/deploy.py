"""`keeper executor deploy`: create the contract, and name it in the deployment file."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.executor.contract import address_of, read_ties
from keeper.cli.executor.sending import Live, Wait, say, send, sending_settings
from keeper.cli.interrupt import Interrupted, run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.chain.connect import Chain
    from keeper.settings import Settings

_TLOAD = bytes.fromhex("5f5c5000")  # PUSH0 TLOAD POP STOP

Factory = Annotated[
    str, typer.Option("--factory", help="Address of the Uniswap v3 factory whose pools the executor trades with.")
]
Treasury = Annotated[
    str,
    typer.Option("--treasury", help="Address that owns the capital, not the signer; KEEPER_TREASURY where not given."),
]
Wrapped = Annotated[str, typer.Option("--wrapped", help="Address of the chain's wrapped coin, which refuel unwraps.")]
_NONE = bytes(20)


def command(
    factory: Factory,
    treasury: Treasury = "",
    wrapped: Wrapped = "",
    live: Live = False,
    wait: Wait = 120.0,
    env_file: EnvFile = DEFAULT_ENV_FILE,
) -> None:
    """Create an executor contract whose operator is the signer, and add it to the deployment file.

    The operator liquidates. The treasury owns the capital: the contract pays tokens to it alone, and it sets the
    operator's limits (`keeper executor treasury`). Send capital to its address afterwards. No keeper may run with the
    same signer meanwhile. Sends only with --live.
    """
    settings = sending_settings(env_file, live)
    owner = treasury or settings.treasury
    if not owner:
        raise OperatorError(
            "an executor needs a treasury, an address whose key is not on this machine: give --treasury"
        )
    token = address_of("--wrapped", wrapped) if wrapped else _NONE
    run_interruptible(_deploy(settings, address_of("--treasury", owner), address_of("--factory", factory), token, wait))


async def _deploy(settings: "Settings", treasury: bytes, factory: bytes, wrapped: bytes, wait_s: float) -> None:
    from keeper.abi import checksum
    from keeper.app.one_shot import OneShotTx, created
    from keeper.cli.session import connected, signer_address
    from keeper.protocols import executor
    from keeper.protocols.base import EXECUTOR
    from keeper.protocols.registry import name_contract

    operator = signer_address(settings) or b""
    if treasury in (operator, _NONE):
        raise OperatorError(f"--treasury: {checksum(treasury)} is the signer: give an address with another key")
    async with connected(settings, operator) as session:
        if named := session.deployment.executor:
            raise OperatorError(
                f"KEEPER_DEPLOYMENT names the executor {checksum(named)} already: sweep it, and remove it from the file"
            )
        await _check_factory(session, factory)
        await check_transient_storage(session.chain, operator)
        creation = OneShotTx(b"", executor.creation(treasury, operator, factory, wrapped), executor.explain)
        _, nonce = await send(settings, session, creation, wait_s)
        address = created(operator, nonce)
        say(f"created executor {checksum(address)}, treasury {checksum(treasury)}, operator {checksum(operator)}")
        try:
            ties = await read_ties(session.chain, address, await session.chain.reader.head())
        except asyncio.CancelledError:
            raise Interrupted(
                f"interrupted: add {checksum(address)} to {settings.deployment} as Executor, it is not in there yet"
            ) from None
        if ties != executor.Ties(treasury, operator, factory, wrapped):
            raise OperatorError(f"{checksum(address)} is not an executor contract: do not use it", 4)
    name_contract(settings.deployment, EXECUTOR, checksum(address))
    say(f"added it to {settings.deployment}: send it the tokens that liquidations spend")


async def _check_factory(session: "Session", factory: bytes) -> None:
    """Raises OperatorError for an address that does not answer as a factory does, whatever the pool."""
    from keeper.abi import checksum
    from keeper.defi import uniswap_reads

    reader = session.chain.reader
    [answer] = await reader.read(await reader.head(), [uniswap_reads.find(factory, b"\1" * 20, b"\2" * 20, 500)])
    if not answer.ok or len(answer.data) != 32:
        raise OperatorError(
            f"--factory: {checksum(factory)} is not a Uniswap v3 factory on chain {session.chain.chain_id}"
        )


async def check_transient_storage(chain: "Chain", sender: bytes) -> None:
    """The contract's locks use transient storage (EIP-1153). Raises OperatorError where reading it fails."""
    from keeper.chain.errors import RpcError

    try:
        await chain.reader.estimate(sender, b"", _TLOAD)
    except RpcError as error:
        message = f"chain {chain.chain_id} has no transient storage (EIP-1153), which the executor contract needs"
        raise OperatorError(f"{message}: {error.message}", 4) from None
