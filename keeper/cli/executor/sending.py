"""Sending one transaction for a `keeper executor` command."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keeper.cli.interrupt import Interrupted
from keeper.cli.options import settings_from
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.one_shot import OneShotTx
    from keeper.app.session import Session
    from keeper.model.chain import Receipt
    from keeper.settings import Settings

Live = Annotated[bool, typer.Option("--live", help="Sign and send the transaction. Without it nothing is signed.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the transaction to be mined.")]


def sending_settings(env_file: Path, live: bool) -> "Settings":
    """The operator's settings. Raises OperatorError unless they, or `live`, allow to sign and send."""
    settings = settings_from(env_file, **({"live": True} if live else {}))
    if not settings.live:
        raise OperatorError("this command signs and sends a transaction: give --live, or set KEEPER_LIVE")
    return settings


async def send(settings: "Settings", session: "Session", tx: "OneShotTx", wait_s: float) -> tuple["Receipt", int]:
    """The receipt and the nonce. Raises Interrupted, with the hash of a transaction that may be sent already."""
    from keeper.app.one_shot import send_once
    from keeper.app.policies import policy_of
    from keeper.execute.leadership.file_lock import make_data_dir

    make_data_dir(settings.data_dir)
    sent: list[str] = []

    def tell(tx_hash: str) -> None:
        sent.append(tx_hash)
        say(f"sent: {tx_hash}")

    try:
        return await send_once(settings, policy_of(settings), session.chain, tx, wait_s, tell)
    except asyncio.CancelledError:
        if not sent:
            raise
        raise Interrupted(
            f"interrupted: {sent[0]} may still be mined: look it up before you run the command again"
        ) from None


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
