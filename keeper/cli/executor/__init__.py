"""`keeper executor`: the contract that holds the keeper's capital and liquidates with it."""

import typer

from keeper.cli.executor import deploy, refuel, sell, show, sweep, treasury

EXAMPLES = (
    "Examples: `keeper executor deploy --factory 0x1F98431c8aD98523631AE4a59f267346ea31F984 --treasury 0x... --live`, "
    "`keeper executor show`, `keeper executor sweep USDC 1500.25 --live`, `keeper executor sweep USDC all --live`"
)

app = typer.Typer(
    name="executor",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog=EXAMPLES,
    help="Create, show and empty the executor: the contract that holds the keeper's capital and liquidates with it.",
)
for module in (deploy, sweep, sell, refuel, show):
    app.command(module.__name__.rpartition(".")[2], epilog=EXAMPLES)(module.command)
app.add_typer(treasury.app)
