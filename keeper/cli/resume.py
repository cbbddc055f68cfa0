"""`keeper resume`: sending goes on."""

import sys

from keeper.cli.options import DEFAULT_ENV_FILE, EnvFile, settings_from

EXAMPLES = "Examples: `keeper resume`"


def command(env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Turn the kill switch off and close every breaker; what was lost or spent so far no longer counts against limits.

    A keeper that runs goes on with the next block. Talks to no node. Without a signer in the settings only the kill
    switch is turned off, since breakers belong to a signer.
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
        sys.stdout.write(f"closed: {hold.name} ({hold.reason})\n")
    sys.stdout.write("sending goes on\n" if closed else "nothing was held\n")
