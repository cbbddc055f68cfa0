"""`keeper executor`: the contract that holds the keeper's capital and liquidates with it."""

import asyncio
import sys
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import print_json, show as show_table, table, units
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.chain.connect import Chain
    from keeper.daemon import Wiring
    from keeper.defi.erc20 import Token
    from keeper.execute.errand import Errand
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
    asyncio.run(_deploy(settings, _address("--factory", factory), wait))


@app.command(epilog=EXAMPLES)
def sweep(
    token: TokenName, amount: Amount, live: Live = False, wait: Wait = 120.0, env_file: EnvFile = DEFAULT_ENV_FILE
) -> None:
    """Send tokens that the executor holds to its owner, the signer.

    Needs the signer, and that no keeper runs with it.
    """
    settings = settings_from(env_file, **({"live": True} if live else {}))
    _require_live(settings)
    asyncio.run(_sweep(settings, token, amount, wait))


@app.command(epilog=EXAMPLES)
def show(as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Whom the executor obeys, whose pools it trades with, and what it holds of what liquidations need."""
    settings = settings_from(env_file)
    document = asyncio.run(_look(settings))
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
    from keeper.cli.wiring import signer_address, wired
    from keeper.execute.errand import Errand, created
    from keeper.protocols import executor
    from keeper.protocols.base import EXECUTOR
    from keeper.protocols.registry import name_contract

    owner = signer_address(settings) or b""
    async with wired(settings, owner) as wiring:
        if named := wiring.deployment.executor:
            raise OperatorError(
                f"KEEPER_DEPLOYMENT names the executor {checksum(named)} already: sweep it, and take it out of the file"
            )
        await _check_factory(wiring, factory)
        await check_transient_storage(wiring.chain, owner)
        _, nonce = await _run(
            settings, wiring, Errand(b"", executor.creation(owner, factory), executor.explain), wait_s
        )
        address = created(owner, nonce)
        _say(f"the executor is {checksum(address)}, and obeys {checksum(owner)}")
        if await _ties(wiring, address) != executor.Ties(owner, factory):
            raise OperatorError(f"{checksum(address)} does not answer as an executor does: do not use it", 4)
    name_contract(settings.deployment, EXECUTOR, checksum(address))
    _say(f"{settings.deployment} names it: send it the tokens that it is to liquidate with")


async def _sweep(settings: "Settings", wanted: str, amount: str, wait_s: float) -> None:
    from keeper.cli.wiring import wired
    from keeper.execute.errand import Errand
    from keeper.protocols import executor

    async with wired(settings) as wiring:
        address = _executor_of(wiring)
        token = await _token(wiring, wanted)
        held = await _balance(wiring, token.address, address)
        decimals = token.decimals or 0
        taken = held if amount == "all" else _units(amount, decimals)
        if not 0 < taken <= held:
            raise OperatorError(f"the executor holds {units(held, decimals)} {token.symbol}: {amount} cannot be taken")
        await _run(settings, wiring, Errand(address, executor.sweep(token.address, taken), executor.explain), wait_s)
        _say(f"{units(taken, decimals)} {token.symbol} went to the owner")


async def _look(settings: "Settings") -> dict[str, Any]:
    from keeper.abi import checksum
    from keeper.cli.wiring import snapshot_at, wired

    async with wired(settings) as wiring:
        address = _executor_of(wiring)
        ties = await _ties(wiring, address)
        if ties is None:
            raise OperatorError(f"{checksum(address)} does not answer as an executor does: check KEEPER_DEPLOYMENT", 4)
        snapshot = await snapshot_at(wiring, None)
        symbols = wiring.protocol.token_symbols(snapshot.state)
        holds = []
        for token in wiring.protocol.purse(snapshot.state):
            symbol, decimals = symbols.get(token, ("", 0))
            balance = str(await _balance(wiring, token, address))
            holds.append({"token": checksum(token), "symbol": symbol, "decimals": decimals, "balance": balance})
    names = {"executor": address, "owner": ties.owner, "factory": ties.factory}
    return {**{name: checksum(value) for name, value in names.items()}, "holds": holds}


# ---- parts


async def _run(settings: "Settings", wiring: "Wiring", errand: "Errand", wait_s: float) -> tuple["Receipt", int]:
    from keeper.daemon import make_directory, policy_of
    from keeper.execute.errand import run_errand

    make_directory(settings.data_dir)
    return await run_errand(
        settings, policy_of(settings), wiring.chain, errand, wait_s, lambda sent: _say(f"sent: {sent}")
    )


async def _check_factory(wiring: "Wiring", factory: bytes) -> None:
    """A factory gives an answer for any pool. Raises OperatorError."""
    from keeper.abi import checksum
    from keeper.defi import uniswap_reads

    reader = wiring.chain.reader
    [answer] = await reader.read(await reader.head(), [uniswap_reads.find(factory, b"\1" * 20, b"\2" * 20, 500)])
    if not answer.ok or len(answer.data) != 32:
        raise OperatorError(f"--factory: {checksum(factory)} is no Uniswap v3 factory on chain {wiring.chain.chain_id}")


async def check_transient_storage(chain: "Chain", sender: bytes) -> None:
    """The contract's locks need it (EIP-1153). Raises OperatorError where creation code that reads some fails."""
    from keeper.chain.errors import RpcError

    try:
        await chain.reader.estimate(sender, b"", _TLOAD)
    except RpcError as error:
        message = f"chain {chain.chain_id} has no transient storage (EIP-1153), which the executor needs"
        raise OperatorError(f"{message}: {error.message}", 4) from None


async def _ties(wiring: "Wiring", address: bytes) -> "Ties | None":
    from keeper.protocols import executor

    reader = wiring.chain.reader
    return executor.ties(await reader.read(await reader.head(), executor.ties_calls(address)))


async def _balance(wiring: "Wiring", token: bytes, holder: bytes) -> int:
    from keeper.daemon import token_balances

    balances = await token_balances(wiring.chain, await wiring.chain.reader.head(), holder, [token])
    return balances[token]


async def _token(wiring: "Wiring", wanted: str) -> "Token":
    """By address or symbol. Raises OperatorError."""
    from keeper.cli.wiring import snapshot_at
    from keeper.defi import erc20

    if not wanted.startswith("0x"):
        known = wiring.protocol.token_symbols((await snapshot_at(wiring, None)).state)
        found = [address for address, (symbol, _) in known.items() if symbol == wanted]
        if len(found) != 1:
            names = ", ".join(sorted({symbol for symbol, _ in known.values()}))
            raise OperatorError(f"TOKEN: {wanted} is not one of {names or 'any known symbols'}: give an address")
        [address] = found
    else:
        address = _address("TOKEN", wanted)
    reader = wiring.chain.reader
    return erc20.described(address, await reader.read(await reader.head(), erc20.describe(address)))


def _executor_of(wiring: "Wiring") -> bytes:
    if not wiring.deployment.executor:
        raise OperatorError("KEEPER_DEPLOYMENT names no Executor: `keeper executor deploy --factory ADDRESS --live`")
    return wiring.deployment.executor


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
