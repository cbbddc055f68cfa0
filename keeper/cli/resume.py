"""`keeper resume`: allow sending again."""

import sys

from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile, settings_from
from keeper.cli.output import cleaned

EXAMPLES = "Examples: `keeper resume`"


def command(env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Turn the kill switch off and close every breaker. Losses and gas until now no longer count against their limits.

    A running keeper sends again from the next block on. Writes the journal's database; asks no node. Breakers belong
    to a signer: without one in the settings, only the kill switch is turned off.
    """
    settings = settings_from(env_file)
    from keeper.cli.session import signer_address
    from keeper.execute.breakers.store import EVERYONE, open_breaker_store

    signer = signer_address(settings) or EVERYONE
    book = open_breaker_store(settings.database_url.get_secret_value(), settings.data_dir, signer, settings.chain_id)
    try:
        closed = book.resume()
    finally:
        book.close()
    for hold in closed:
        sys.stdout.write(f"closed: {hold.name} ({cleaned(hold.reason)})\n")
    sys.stdout.write("sending continues\n" if closed else "no breaker was open\n")
