"""`keeper executor show`: the contract's owner, factory and balances."""

from typing import TYPE_CHECKING, Any

from keeper.cli.executor.contract import balance_of, executor_of, read_ties
from keeper.cli.interrupt import run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import print_json, show, table, units
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.settings import Settings


def command(as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Show the executor's owner, its Uniswap factory, and what it holds of the tokens that liquidations spend.

    Reads the nodes of KEEPER_RPC_URLS and the deployment file; needs no key and sends nothing.
    """
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
    show(grid)


async def _look(settings: "Settings") -> dict[str, Any]:
    from keeper.abi import checksum
    from keeper.cli.session import connected, snapshot_at

    async with connected(settings) as session:
        address = executor_of(session)
        snapshot = await snapshot_at(session, None)
        ties = await read_ties(session.chain, address, snapshot.block)
        if ties is None:
            raise OperatorError(f"{checksum(address)} is not an executor contract: check KEEPER_DEPLOYMENT", 4)
        symbols = session.protocol.token_symbols(snapshot.state)
        holds = []
        for token in session.protocol.purse(snapshot.state):
            symbol, decimals = symbols.get(token, ("", 0))
            balance = str(await balance_of(session.chain, token, address, snapshot.block))
            holds.append({"token": checksum(token), "symbol": symbol, "decimals": decimals, "balance": balance})
    names = {"executor": address, "owner": ties.owner, "factory": ties.factory}
    return {**{name: checksum(value) for name, value in names.items()}, "holds": holds}
