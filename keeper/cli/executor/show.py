"""`keeper executor show`: the contract's roles, limits and balances."""

from typing import TYPE_CHECKING, Any

from keeper.cli.executor.amounts import COIN_DECIMALS
from keeper.cli.executor.contract import balance_of, executor_of, read_limits, read_ties
from keeper.cli.interrupt import run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import print_json, show, table, units
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.settings import Settings


def command(as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Show the executor's roles and wiring, the treasury's limits, and what it holds of the protocol's tokens.

    Reads the nodes of KEEPER_RPC_URLS and the deployment file; needs no key and sends nothing.
    """
    settings = settings_from(env_file)
    document = run_interruptible(_look(settings))
    if as_json:
        print_json(document)
        return
    grid = table("executor", ("", "", "least profit", "on the held list"))
    for name in ("executor", "treasury", "operator", "factory"):
        grid.add_row(name, document[name])
    grid.add_row("offered the treasury's role", document["pending_treasury"] or "nobody")
    grid.add_row("wrapped coin", document["wrapped"] or "none")
    bound, left = (units(int(document[name]), COIN_DECIMALS) for name in ("gas_bound", "gas_left_today"))
    grid.add_row("coins for gas a day", f"{bound}, {left} left today")
    grid.add_row("coins", units(int(document["coins"]), COIN_DECIMALS))
    for held in document["holds"]:
        amount, floor = (units(int(held[name]), held["decimals"]) for name in ("balance", "floor"))
        grid.add_row(held["symbol"] or held["token"], amount, floor, "yes" if held["held"] else "no")
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
        symbols, purse = session.protocol.token_symbols(snapshot.state), session.protocol.purse(snapshot.state)
        tokens = [*purse, *sorted(set(symbols) - set(purse))]
        limits = await read_limits(session.chain, address, snapshot.block, tokens)
        holds = []
        for token in tokens:
            symbol, decimals = symbols.get(token, ("", 0))
            balance = str(await balance_of(session.chain, token, address, snapshot.block))
            described = {"token": checksum(token), "symbol": symbol, "decimals": decimals, "balance": balance}
            holds.append({**described, "floor": str(limits.floors[token]), "held": token in limits.held})
        coins = await session.chain.reader.balance(address, snapshot.block)
    names = {"executor": address, "treasury": ties.treasury, "operator": ties.operator, "factory": ties.factory}
    others = {"pending_treasury": limits.pending, "wrapped": ties.wrapped}
    return {
        **{name: checksum(value) for name, value in names.items()},
        **{name: checksum(value) if any(value) else "" for name, value in others.items()},
        "gas_bound": str(limits.gas_bound),
        "gas_left_today": str(limits.gas_left),
        "coins": str(coins),
        "holds": holds,
    }
