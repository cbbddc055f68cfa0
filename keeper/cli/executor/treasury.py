"""`keeper executor treasury`: calls that only the treasury may make, as unsigned calldata."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeper.cli.executor.amounts import COIN_DECIMALS, TokenName, token_of, units_of
from keeper.cli.executor.contract import address_of, executor_of
from keeper.cli.executor.refuel import Coins
from keeper.cli.executor.sell import LeastOut, Pools, sale
from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import print_json
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session

EXAMPLES = (
    "Examples: `keeper executor treasury set-held USDC yes`, `keeper executor treasury set-floor USDC 5`, "
    "`keeper executor treasury set-gas-bound 0.5`, `keeper executor treasury set-operator 0x...`"
)
Made = tuple[bytes, str]  # calldata, and what it does in words

app = typer.Typer(
    name="treasury",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog=EXAMPLES,
    help="Print what only the treasury may do as unsigned calldata: sign and send it from the treasury's wallet.",
)


class OnOff(StrEnum):
    """Whether a token is on the held list."""

    YES = "yes"
    NO = "no"


Address = Annotated[str, typer.Argument(help="An address.")]
Units = Annotated[str, typer.Argument(help="Least profit of a liquidation in whole tokens, such as 2.5.")]
OnList = Annotated[
    OnOff,
    typer.Argument(help="Whether the executor may hold the token: yes puts it on the held list, no takes it off."),
]


@app.command("offer", epilog=EXAMPLES)
def offer(address: Address, as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Offer the treasury's role to another address, which has to accept. The zero address withdraws an offer."""
    to = address_of("ADDRESS", address)
    _tell(env_file, as_json, lambda _: _call("offerTreasury", to, what=f"offer the treasury's role to {address}"))


@app.command("accept", epilog=EXAMPLES)
def accept(as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Take the treasury's role that was offered: sent by the new treasury."""
    _tell(
        env_file, as_json, lambda _: _call("acceptTreasury", what="take the treasury's role, sent by the new treasury")
    )


@app.command("set-operator", epilog=EXAMPLES)
def set_operator(address: Address, as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Replace the operator, the keeper's hot key. The old one can do nothing from then on."""
    to = address_of("ADDRESS", address)
    _tell(env_file, as_json, lambda _: _call("setOperator", to, what=f"make {address} the operator"))


@app.command("set-floor", epilog=EXAMPLES)
def set_floor(token: TokenName, amount: Units, as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Set the least profit of liquidations that pay in a token."""

    async def made(session: "Session") -> Made:
        found = await token_of(session, token)
        units = units_of(amount, found.decimals or 0)
        what = f"liquidations must earn at least {amount} {found.symbol}"
        return await _call("setFloor", found.address, units, what=what)

    _tell(env_file, as_json, made)


@app.command("set-held", epilog=EXAMPLES)
def set_held(token: TokenName, held: OnList, as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Put a token on the held list or take it off: others are sold into it, and only the treasury sells it."""

    async def made(session: "Session") -> Made:
        found = await token_of(session, token)
        what = (
            f"{'put' if held is OnOff.YES else 'take'} {found.symbol} {'on' if held is OnOff.YES else 'off'} the list"
        )
        return await _call("setHeld", found.address, held is OnOff.YES, what=what)

    _tell(env_file, as_json, made)


@app.command("set-gas-bound", epilog=EXAMPLES)
def set_gas_bound(amount: Coins, as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Set how many coins the operator may take for gas in a UTC day."""
    wei = units_of(amount, COIN_DECIMALS)
    _tell(env_file, as_json, lambda _: _call("setGasBound", wei, what=f"the operator may take {amount} coins a day"))


@app.command("sell", epilog=EXAMPLES)
def sell(
    token: TokenName, least: LeastOut, pool: Pools, as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE
) -> None:
    """Sell all that the executor holds of a token, which may be of the held list."""
    pools = [address_of("--pool", one) for one in pool]
    _tell(env_file, as_json, lambda session: sale(session, token, least, pools))


async def _call(name: str, *arguments: Any, what: str) -> Made:
    from eth_abi.exceptions import EncodingError

    from keeper.protocols.executor.contract import FUNCTIONS

    try:
        return FUNCTIONS[name].encode(*arguments), what
    except EncodingError:
        raise OperatorError("AMOUNT: give an amount that is not negative and fits the contract") from None


def _tell(env_file: Any, as_json: bool, make: "Callable[[Session], Awaitable[Made]]") -> None:
    """Print the call that `make` describes."""
    from keeper.abi import checksum
    from keeper.cli.session import run_once
    from keeper.model.chain import hexed

    async def look(session: "Session") -> tuple[bytes, Made]:
        return executor_of(session), await make(session)

    address, (data, what) = run_once(settings_from(env_file), look)
    document = {"to": checksum(address), "value": "0", "data": hexed(data), "what": what}
    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join(f"{name:6} {text}" for name, text in document.items()))
