"""`keeper executor`: the contract that holds the keeper's capital and liquidates with it."""

import asyncio
import sys
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeper.cli.interrupt import Interrupted, run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import print_json, show as show_table, table, units
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.one_shot import OneShotTx
    from keeper.app.session import Session
    from keeper.chain.connect import Chain
    from keeper.defi.erc20 import Token
    from keeper.model.chain import Receipt
    from keeper.protocols.executor import Ties
    from keeper.settings import Settings

EXAMPLES = (
    "Examples: `keeper executor deploy --factory 0x1F98431c8aD98523631AE4a59f267346ea31F984 --live`, "
    "`keeper executor show`, `keeper executor sweep USDC 1500.25 --live`, `keeper executor sweep USDC all --live`"
)
_TLOAD = bytes.fromhex("5f5c5000")  # PUSH0 TLOAD POP STOP

app = typer.Typer(
    name="executor",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog=EXAMPLES,
    help="Deploy, look at and empty the contract that holds the keeper's capital and liquidates with it.",
)

Factory = Annotated[str, typer.Option("--factory", help="The Uniswap v3 factory whose pools it may trade with.")]
Live = Annotated[bool, typer.Option("--live", help="Sign and send it. Without it nothing is signed.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until it is mined.")]
TokenName = Annotated[str, typer.Argument(help="Address of the token, or its symbol where the protocol knows it.")]
Amount = Annotated[str, typer.Argument(help="In whole tokens, such as 1500.25, or `all`.")]


@app.command(epilog=EXAMPLES)
def deploy(factory: Factory, live: Live = False, wait: Wait = 120.0, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Create an executor that obeys the settings' signer alone, and name it in the deployment file.

    Needs a signer, and that no keeper runs with it. Everything the executor holds can be swept to the signer, and to
    nobody else. Send capital to its address afterwards.
    """
    settings = settings_from(env_file, **({"live": True} if live else {}))
    _require_live(settings)
    run_interruptible(_deploy(settings, _address("--factory", factory), wait))


@app.command(epilog=EXAMPLES)
def sweep(
    token: TokenName, amount: Amount, live: Live = False, wait: Wait = 120.0, env_file: EnvFile = DEFAULT_ENV_FILE
) -> None:
    """Send tokens that the executor holds to its owner, the signer.

    Needs the signer, and that no keeper runs with it.
    """
    settings = settings_from(env_file, **({"live": True} if live else {}))
    _require_live(settings)
    run_interruptible(_sweep(settings, token, amount, wait))


@app.command(epilog=EXAMPLES)
def show(as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Whom the executor obeys, whose pools it trades with, and what it holds of what liquidations need."""
    settings = settings_from(env_file)
    document = run_interruptible(_look(settings))
    if as_json:
        print_json(document)
        return
    grid = table("executor", ("", ""))
    grid.show_header = False
    for name in ("executor", "owner", "factory"):
        grid.add_row(name, document[name])
    for held in document["holds"]:
        grid.add_row(held["symbol"] or held["token"], units(int(held["balance"]), held["decimals"]))
    show_table(grid)


# ---- what they do


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
        _, nonce = await _run(settings, session, creation, wait_s)
        address = created(owner, nonce)
        _say(f"the executor is {checksum(address)}, and obeys {checksum(owner)}")
        try:
            ties = await _ties(session, address)
        except asyncio.CancelledError:
            raise Interrupted(
                f"interrupted: {settings.deployment} does not name the executor {checksum(address)} yet, add it by hand"
            ) from None
        if ties != executor.Ties(owner, factory):
            raise OperatorError(f"{checksum(address)} does not answer as an executor does: do not use it", 4)
    name_contract(settings.deployment, EXECUTOR, checksum(address))
    _say(f"{settings.deployment} names it: send it the tokens that it is to liquidate with")


async def _sweep(settings: "Settings", wanted: str, amount: str, wait_s: float) -> None:
    from keeper.app.one_shot import OneShotTx
    from keeper.cli.session import connected
    from keeper.protocols import executor

    async with connected(settings) as session:
        address = _executor_of(session)
        token = await _token(session, wanted)
        held = await _balance(session, token.address, address)
        decimals = token.decimals or 0
        taken = held if amount == "all" else _units(amount, decimals)
        if not 0 < taken <= held:
            raise OperatorError(f"the executor holds {units(held, decimals)} {token.symbol}: {amount} cannot be taken")
        transfer = OneShotTx(address, executor.sweep(token.address, taken), executor.explain)
        await _run(settings, session, transfer, wait_s)
        _say(f"{units(taken, decimals)} {token.symbol} went to the owner")


async def _look(settings: "Settings") -> dict[str, Any]:
    from keeper.abi import checksum
    from keeper.cli.session import connected, snapshot_at

    async with connected(settings) as session:
        address = _executor_of(session)
        ties = await _ties(session, address)
        if ties is None:
            raise OperatorError(f"{checksum(address)} does not answer as an executor does: check KEEPER_DEPLOYMENT", 4)
        snapshot = await snapshot_at(session, None)
        symbols = session.protocol.token_symbols(snapshot.state)
        holds = []
        for token in session.protocol.purse(snapshot.state):
            symbol, decimals = symbols.get(token, ("", 0))
            balance = str(await _balance(session, token, address))
            holds.append({"token": checksum(token), "symbol": symbol, "decimals": decimals, "balance": balance})
    names = {"executor": address, "owner": ties.owner, "factory": ties.factory}
    return {**{name: checksum(value) for name, value in names.items()}, "holds": holds}


# ---- parts


async def _run(settings: "Settings", session: "Session", errand: "OneShotTx", wait_s: float) -> tuple["Receipt", int]:
    """The receipt and the nonce. Raises Interrupted, with the hash of a transaction that may have left."""
    from keeper.app.one_shot import send_once
    from keeper.app.policies import policy_of
    from keeper.execute.leadership.file_lock import make_data_dir

    make_data_dir(settings.data_dir)
    sent: list[str] = []

    def tell(tx_hash: str) -> None:
        sent.append(tx_hash)
        _say(f"sent: {tx_hash}")

    try:
        return await send_once(settings, policy_of(settings), session.chain, errand, wait_s, tell)
    except asyncio.CancelledError:
        if not sent:
            raise
        raise Interrupted(
            f"interrupted: {sent[0]} may still be mined; look for it before you give the command again"
        ) from None


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


async def _ties(session: "Session", address: bytes) -> "Ties | None":
    from keeper.protocols import executor

    reader = session.chain.reader
    return executor.ties(await reader.read(await reader.head(), executor.ties_calls(address)))


async def _balance(session: "Session", token: bytes, holder: bytes) -> int:
    from keeper.chain.balances import token_balances

    balances = await token_balances(session.chain.reader, await session.chain.reader.head(), holder, [token])
    return balances[token]


async def _token(session: "Session", wanted: str) -> "Token":
    """By address or symbol. Raises OperatorError."""
    from keeper.cli.session import snapshot_at
    from keeper.defi import erc20

    if not wanted.startswith("0x"):
        known = session.protocol.token_symbols((await snapshot_at(session, None)).state)
        found = [address for address, (symbol, _) in known.items() if symbol == wanted]
        if len(found) != 1:
            names = ", ".join(sorted({symbol for symbol, _ in known.values()}))
            raise OperatorError(f"TOKEN: {wanted} is not one of {names or 'any known symbols'}: give an address")
        [address] = found
    else:
        address = _address("TOKEN", wanted)
    reader = session.chain.reader
    return erc20.described(address, await reader.read(await reader.head(), erc20.describe(address)))


def _executor_of(session: "Session") -> bytes:
    if not session.deployment.executor:
        raise OperatorError("KEEPER_DEPLOYMENT names no Executor: `keeper executor deploy --factory ADDRESS --live`")
    return session.deployment.executor


def _require_live(settings: "Settings") -> None:
    if not settings.live:
        raise OperatorError("this signs and sends a transaction: give --live, or set KEEPER_LIVE")


def _address(option: str, text: str) -> bytes:
    from eth_utils.address import is_address, is_checksum_address, is_checksum_formatted_address

    garbled = is_checksum_formatted_address(text) and not is_checksum_address(text)
    if not text.startswith("0x") or not is_address(text) or garbled:
        raise OperatorError(f"{option}: {text} is no address: 0x and 40 hex digits, its checksum intact")
    return bytes.fromhex(text[2:])


def _units(text: str, decimals: int) -> int:
    """Token units of a decimal number. Raises OperatorError for what is none, or has too many digits."""
    try:
        amount = Decimal(text).scaleb(decimals)
        whole = amount.is_finite() and amount == amount.to_integral_value()
    except InvalidOperation:
        whole = False
    if not whole:
        raise OperatorError(f"AMOUNT: {text} is no number of tokens with at most {decimals} decimals")
    return int(amount)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
