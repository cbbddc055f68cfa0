"""`keeper executor refuel`: take coins for gas from the executor, within the treasury's bound."""

from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.executor.amounts import COIN_DECIMALS, units_of
from keeper.cli.executor.contract import executor_of
from keeper.cli.executor.sending import Live, Wait, say, send, sending_settings
from keeper.cli.interrupt import run_interruptible
from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile

if TYPE_CHECKING:
    from keeper.settings import Settings

Coins = Annotated[str, typer.Argument(help="Amount in whole coins, such as 0.25.")]


def command(amount: Coins, live: Live = False, wait: Wait = 120.0, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Send coins for gas from the executor to its operator, unwrapping what it lacks.

    The treasury bounds what leaves in a UTC day (`keeper executor treasury set-gas-bound`). No keeper may run with the
    same signer meanwhile. Sends only with --live. Ends when the transaction is mined.
    """
    settings = sending_settings(env_file, live)
    run_interruptible(_refuel(settings, units_of(amount, COIN_DECIMALS), amount, wait))


async def _refuel(settings: "Settings", wei: int, amount: str, wait_s: float) -> None:
    from keeper.app.one_shot import OneShotTx
    from keeper.cli.session import connected
    from keeper.protocols import executor

    async with connected(settings) as session:
        payment = OneShotTx(executor_of(session), executor.refuel(wei), executor.explain)
        await send(settings, session, payment, wait_s)
        say(f"{amount} of the native coin sent to the operator")
