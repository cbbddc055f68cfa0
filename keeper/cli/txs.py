"""`keeper txs`: every liquidation that was sent, and how it ended."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import print_json, show, table

if TYPE_CHECKING:
    from keeper.model.intent import Intent

EXAMPLES = "Examples: `keeper txs`, `keeper txs --json`, `keeper txs --limit 0`"

Limit = Annotated[
    int, typer.Option("--limit", min=0, help="Rows of the table, the newest ones; 0 shows all. JSON always has all.")
]


def command(as_json: AsJson = False, limit: Limit = 20, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """List the liquidations that were sent, oldest first: nonce, attempts (replacements included), and how each ended.

    An intent is one liquidation with one nonce; only one of its attempts is mined. Reads the journal
    (KEEPER_DATABASE_URL in KEEPER_DATA_DIR), also while a keeper runs. Asks no node.
    """
    settings = settings_from(env_file)
    from keeper.execute.journal.journal import read_intents

    intents = read_intents(settings.database_url.get_secret_value(), settings.data_dir)
    if as_json:
        print_json({"intents": [entry(intent) for intent in intents]})
        return
    grid = table(
        f"{len(intents)} intents",
        ("id", "account", "kind", "state", "nonce", "attempts", "max fee gwei", "block", "gas used"),
        right=("id", "nonce", "attempts", "max fee gwei", "block", "gas used"),
    )
    for intent in intents[-limit:] if limit else intents:
        grid.add_row(*_cells(entry(intent)))
    show(grid)


def entry(intent: "Intent") -> dict[str, Any]:
    """One intent as it stands in the document: amounts in wei and token units are decimal strings."""
    from keeper.abi import checksum
    from keeper.model.chain import hexed

    mined = None
    if outcome := intent.outcome:
        mined = {
            "hash": hexed(outcome.tx_hash),
            "block": outcome.block_number,
            "status": outcome.status,
            "gas_used": outcome.gas_used,
            "effective_gas_price_wei": str(outcome.effective_gas_price),
            "data_fee_wei": str(outcome.data_fee),
        }
    return {
        "id": intent.id,
        "account": checksum(intent.account),
        "kind": intent.kind,
        "subject": intent.subject,
        "size": str(intent.size),
        "state": str(intent.state),
        "nonce": intent.nonce,
        "attempts": [
            {
                "hash": hexed(attempt.tx_hash),
                "max_fee_wei": str(attempt.max_fee),
                "priority_fee_wei": str(attempt.priority_fee),
                "cancels": attempt.cancels,
            }
            for attempt in intent.attempts
        ],
        "mined": mined,
        "profit": {checksum(token): str(units) for token, units in outcome.profit.items()} if outcome else {},
    }


def _cells(document: dict[str, Any]) -> tuple[str, ...]:
    attempts, mined = document["attempts"], document["mined"]
    fee = f"{max(int(attempt['max_fee_wei']) for attempt in attempts) / 1e9:.3f}" if attempts else ""
    return (
        str(document["id"]),
        document["account"],
        f"{document['kind']} {document['subject']}".strip(),
        document["state"],
        str(document["nonce"]),
        str(len(attempts)),
        fee,
        str(mined["block"]) if mined else "",
        f"{mined['gas_used']:,}" if mined else "",
    )
