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

Factory = Annotated[str, typer.Option("--factory", help="The Uniswap v3 factory whose pools it may trade with.")]


def command(factory: Factory, live: Live = False, wait: Wait = 120.0, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Create an executor that obeys the settings' signer alone, and name it in the deployment file.

    Needs a signer, and that no keeper runs with it. Everything the executor holds can be swept to the signer, and to
    nobody else. Send capital to its address afterwards.
    """
    settings = sending_settings(env_file, live)
    run_interruptible(_deploy(settings, address_of("--factory", factory), wait))


async def _deploy(settings: "Settings", factory: bytes, wait_s: float) -> None:
    from keeper.abi import checksum
    from keeper.app.one_shot import OneShotTx, created
    from keeper.cli.session import connected, signer_address
    from keeper.protocols import executor
    from keeper.protocols.base import EXECUTOR
    from keeper.protocols.registry import name_contract

    owner = signer_address(settings) or b""
    async with connected(settings, owner) as session:
        if named := session.deployment.executor:
            raise OperatorError(
                f"KEEPER_DEPLOYMENT names the executor {checksum(named)} already: sweep it, and take it out of the file"
            )
        await _check_factory(session, factory)
        await check_transient_storage(session.chain, owner)
        creation = OneShotTx(b"", executor.creation(owner, factory), executor.explain)
        _, nonce = await send(settings, session, creation, wait_s)
        address = created(owner, nonce)
        say(f"the executor is {checksum(address)}, and obeys {checksum(owner)}")
        try:
            ties = await read_ties(session, address)
        except asyncio.CancelledError:
            raise Interrupted(
                f"interrupted: {settings.deployment} does not name the executor {checksum(address)} yet, add it by hand"
            ) from None
        if ties != executor.Ties(owner, factory):
            raise OperatorError(f"{checksum(address)} does not answer as an executor does: do not use it", 4)
    name_contract(settings.deployment, EXECUTOR, checksum(address))
    say(f"{settings.deployment} names it: send it the tokens that it is to liquidate with")


async def _check_factory(session: "Session", factory: bytes) -> None:
    """A factory gives an answer for any pool. Raises OperatorError."""
    from keeper.abi import checksum
    from keeper.defi import uniswap_reads

    reader = session.chain.reader
    [answer] = await reader.read(await reader.head(), [uniswap_reads.find(factory, b"\1" * 20, b"\2" * 20, 500)])
    if not answer.ok or len(answer.data) != 32:
        raise OperatorError(
            f"--factory: {checksum(factory)} is no Uniswap v3 factory on chain {session.chain.chain_id}"
        )


async def check_transient_storage(chain: "Chain", sender: bytes) -> None:
    """The contract's locks need it (EIP-1153). Raises OperatorError where creation code that reads some fails."""
    from keeper.chain.errors import RpcError

    try:
        await chain.reader.estimate(sender, b"", _TLOAD)
    except RpcError as error:
        message = f"chain {chain.chain_id} has no transient storage (EIP-1153), which the executor needs"
        raise OperatorError(f"{message}: {error.message}", 4) from None
