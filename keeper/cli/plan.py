"""`keeper plan`: what would be sent now, and the reason for each account without a liquidation."""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import cleaned, dollars, print_json, ratio, show, table
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.model.data_fees import DataFees
    from keeper.model.plan import InFlight, Plan, Rejected
    from keeper.settings import Settings

EXAMPLES = "Examples: `keeper plan`, `keeper plan --json`"


def command(as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Show the liquidations that would be sent on top of the newest block, and why other unsafe accounts have none.

    Decides by the same code as `keeper run`: price guards, breakers, the signer's balances, and what its journal has in
    flight. Accounts that a running keeper skips for a while come from its status file. Without a signer, unlimited
    funds are assumed. Only at sending, `keeper run` also simulates each plan, and sends one by one for a signer with
    code (EIP-7702). Signs and sends nothing.
    """
    settings = settings_from(env_file)
    from keeper.cli.session import run_once, signer_address

    async def look(session: "Session") -> dict[str, Any]:
        return await _document(session, settings)

    document = run_once(settings, look, signer_address(settings) or b"")
    if as_json:
        print_json(document)
        return
    head = document["block"]["number"]
    plans = table(
        f"{len(document['plans'])} liquidations would be sent on top of block {head}",
        ("account", "what", "health", "after", "notional $", "net $", "max fee gwei", "bid gwei"),
        right=("health", "after", "notional $", "net $", "max fee gwei", "bid gwei"),
    )
    for item in document["plans"]:
        plans.add_row(*_plan_cells(item))
    rejected = table(
        f"{len(document['rejected'])} without a liquidation", ("account", "health", "reason", ""), right=("health",)
    )
    for item in document["rejected"]:
        rejected.add_row(item["account"], ratio(int(item["health_wad"])), item["reason"], item["message"])
    show(plans, rejected)


async def _document(session: "Session", settings: "Settings") -> dict[str, Any]:
    """The newest block's decision, as one document: dollars and wei as decimal strings."""
    from keeper.app.decide import open_decider
    from keeper.cli.session import ignore
    from keeper.model.chain import hexed

    sync, decider = open_decider(session, settings, ignore)
    advance = await decider.advance_to_head(sync)
    keeper = session.deployment.means.keeper
    in_flight = _in_flight(settings, keeper, session.data_fees)
    decision = await decider.decide(advance, in_flight, _held(settings, keeper))
    block = decision.block
    return {
        "protocol": session.protocol.name,
        "block": {"number": block.number, "hash": hexed(block.hash), "timestamp": block.timestamp},
        "executes_at": decision.timestamp,
        "accounts": decision.assessment.active,
        "unsafe": len(decision.assessment.unsafe),
        "plans": [_plan_entry(plan) for plan in decision.plans],
        "rejected": [_rejected_entry(item) for item in decision.rejected],
    }


def _in_flight(settings: "Settings", keeper: bytes, data_fees: "DataFees") -> "InFlight":
    """What the signer's journal has in flight, and what its running keeper skips for a while."""
    from keeper.abi import checksum
    from keeper.execute.journal.journal import read_open_intents
    from keeper.execute.tx.pending import PendingIntents
    from keeper.model.plan import InFlight
    from keeper.observe.status import read_status

    if not keeper:
        return InFlight()
    url = settings.database_url.get_secret_value()
    pending = PendingIntents.of(read_open_intents(url, settings.data_dir, settings.chain_id, keeper))
    pending.data_fees = data_fees
    found = pending.in_flight()
    with suppress(OperatorError):
        status = read_status(settings.data_dir)
        if status.running and (status.chain_id, status.signer) == (settings.chain_id, checksum(keeper)):
            cooling = {bytes.fromhex(account[2:]): until for account, until in status.cooling.items()}
            found = replace(found, cooling=cooling, quarantined=status.quarantined)
    return found


def _held(settings: "Settings", keeper: bytes) -> str:
    """The reasons of all open breakers; empty while a keeper may send."""
    from keeper.execute.breakers.store import EVERYONE, open_breakers

    url = settings.database_url.get_secret_value()
    return "; ".join(open_breakers(url, settings.data_dir, keeper or EVERYONE, settings.chain_id).values())


def _plan_entry(plan: "Plan") -> dict[str, Any]:
    from keeper.abi import checksum
    from keeper.model.chain import hexed

    chosen = plan.opportunity
    return {
        "account": checksum(plan.account),
        "kind": chosen.kind,
        "subject": chosen.subject,
        "size": str(chosen.size),
        "partial": chosen.partial,
        "health_before_wad": str(chosen.before.health_wad),
        "health_after_wad": str(chosen.after.health_wad),
        "notional_wad": str(chosen.notional_wad),
        "reward_wad": str(chosen.reward_wad),
        "value_wad": str(plan.value_wad),
        "bad_debt_prevented_wad": str(chosen.bad_debt_prevented_wad),
        "max_fee_wei": str(plan.max_fee),
        "priority_fee_wei": str(plan.priority_fee),
        "bid_wei": str(plan.bid),
        "gas_limit": chosen.gas_limit,
        "deadline_block": plan.deadline_block,
        "to": checksum(plan.call.to),
        "data": hexed(plan.call.data),
    }


def _rejected_entry(item: "Rejected") -> dict[str, Any]:
    from keeper.abi import checksum

    return {
        "account": checksum(item.account),
        "health_wad": str(item.health_wad),
        "reason": str(item.reason),
        "message": cleaned(item.message),
    }


def _plan_cells(item: dict[str, Any]) -> tuple[str, ...]:
    return (
        item["account"],
        f"{item['kind']} {item['subject']}",
        ratio(int(item["health_before_wad"])),
        ratio(int(item["health_after_wad"])),
        dollars(int(item["notional_wad"])),
        dollars(int(item["value_wad"])),
        f"{int(item['max_fee_wei']) / 1e9:.3f}",
        f"{int(item['bid_wei']) / 1e9:.3f}",
    )
