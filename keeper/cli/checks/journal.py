"""What `keeper doctor` checks of the journal: it can be written, and no other keeper writes it."""

from keeper.cli.checks.check import Check, fail, ok
from keeper.errors import OperatorError
from keeper.execute.journal.journal import open_journal
from keeper.execute.leadership.right import HELD
from keeper.settings import Settings


def check_journal(settings: Settings, address: bytes | None) -> Check:
    """The journal can be written, and no other keeper holds it."""

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        url = settings.database_url.get_secret_value()
        open_journal(url, settings.data_dir, address or bytes(20), settings.chain_id).close()
    except OSError as error:
        message = f"{settings.data_dir} cannot be created or written: {error.strerror}"
        return fail("journal", message, "check KEEPER_DATA_DIR and its owner")
    except OperatorError as error:
        if settings.standby and error.exit_code == HELD:
            return ok("journal", f"{error}: this keeper would be the standby")
        return fail("journal", str(error), "stop the keeper that holds it, or check KEEPER_DATABASE_URL")
    kind = "in PostgreSQL" if url.startswith("postgresql") else f"in {settings.data_dir}"
    return ok("journal", f"can be written, and no keeper holds it, {kind}")
