"""`keeper pnl`: what the liquidations earned and what gas they cost."""

from typing import TYPE_CHECKING, Any

from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import dollars, print_json, show, table, units

if TYPE_CHECKING:
    from keeper.observe.pnl import Pnl

EXAMPLES = "Examples: `keeper pnl`, `keeper pnl --json`"
ETHER_DECIMALS = 18


def command(as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Add up what liquidations earned and what they cost, for each token, to the wei.

    Reads the journal (KEEPER_DATABASE_URL in KEEPER_DATA_DIR), also while a keeper runs. Asks no node: dollars are at
    the prices of the blocks in which the liquidations were mined.
    """
    settings = settings_from(env_file)
    from keeper.execute.journal.journal import read_intents
    from keeper.observe.pnl import summarise

    document = report(summarise(read_intents(settings.database_url.get_secret_value(), settings.data_dir)))
    if as_json:
        print_json(document)
        return
    grid = table("profit and loss", ("", ""), right=("",))
    grid.show_header = False
    for token, amount in document["profit"].items():
        grid.add_row(f"units of {token}", f"{int(amount):,}")
    grid.add_row("net of gas, dollars", dollars(int(document["value_wad"])))
    grid.add_row("gas, native coin", units(int(document["gas_wei"]), ETHER_DECIMALS))
    grid.add_row("gas spent without a liquidation, native coin", units(int(document["wasted_gas_wei"]), ETHER_DECIMALS))
    grid.add_row("bad debt that liquidations left, dollars", dollars(int(document["bad_debt_wad"])))
    for state, count in document["states"].items():
        grid.add_row(f"intents {state}", str(count))
    show(grid)


def report(pnl: "Pnl") -> dict[str, Any]:
    """The document of `--json`: units, wei and 1e18 dollars as decimal strings; the native coin is the zero address."""
    from keeper.abi import checksum

    return {
        "profit": {checksum(token): str(amount) for token, amount in sorted(pnl.profit.items())},
        "value_wad": str(pnl.value_wad),
        "bad_debt_wad": str(pnl.bad_debt_wad),
        "gas_wei": str(pnl.gas_wei),
        "wasted_gas_wei": str(pnl.wasted_gas_wei),
        "sent": pnl.sent,
        "states": dict(sorted(pnl.states.items())),
    }
