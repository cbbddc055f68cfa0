"""`keeper plan`: what would be sent now, and why not the rest."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from keeper.cli.options import DEFAULT_ENV_FILE, AsJson, EnvFile, settings_from
from keeper.cli.output import dollars, print_json, ratio, show, table
from keeper.errors import OperatorError

if TYPE_CHECKING:
    from keeper.app.session import Session
    from keeper.model.plan import Funds, InFlight, Plan, Rejected
    from keeper.protocols.base import Snapshot
    from keeper.settings import Settings

EXAMPLES = "Examples: `keeper plan`, `keeper plan --json`"


def command(as_json: AsJson = False, env_file: EnvFile = DEFAULT_ENV_FILE) -> None:
    """Show the liquidations that would be sent on top of the newest block, and why each other account is left alone.

    Reads the chain, and the signer's balances when one is set; without one the purse is taken for bottomless. What a
    running keeper has on the way is taken from its journal. Signs and sends nothing.
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
    rejected = table(f"{len(document['rejected'])} left alone", ("account", "health", "reason", ""), right=("health",))
    for item in document["rejected"]:
        rejected.add_row(item["account"], ratio(int(item["health_wad"])), item["reason"], item["message"])
    show(plans, rejected)


async def _document(session: "Session", settings: "Settings") -> dict[str, Any]:
    """The newest block's schedule, as one document: dollars and wei as decimal strings."""
    from keeper.app.decide import BlockTimes
    from keeper.app.policies import policy_of
    from keeper.cli.session import snapshot_at
    from keeper.model.chain import hexed
    from keeper.plan.planner import choose
    from keeper.risk.screening import assess

    snapshot = await snapshot_at(session, None)
    times = BlockTimes()
    if snapshot.block.number > 0:
        times.saw(await session.chain.reader.block_by_hash(snapshot.block.parent))
    times.saw(snapshot.block)
    timestamp = times.next_timestamp(snapshot.block)
    assessment = assess(session.protocol, snapshot, timestamp)
    funds, in_flight = await _means(session, settings, snapshot, timestamp)
    schedule = choose(session.protocol, snapshot, assessment, timestamp, policy_of(settings), funds, in_flight)
    block = snapshot.block
    return {
        "protocol": session.protocol.name,
        "block": {"number": block.number, "hash": hexed(block.hash), "timestamp": block.timestamp},
        "executes_at": timestamp,
        "accounts": assessment.active,
        "unsafe": len(assessment.unsafe),
        "plans": [_plan_entry(plan) for plan in schedule.plans],
        "rejected": [_rejected_entry(item) for item in schedule.rejected],
    }


async def _means(
    session: "Session", settings: "Settings", snapshot: "Snapshot", timestamp: int
) -> tuple["Funds", "InFlight"]:
    """What the signer could spend, and what its journal has on the way."""
    from keeper.app.decide import UNLIMITED
    from keeper.app.policies import native_price_of
    from keeper.chain.balances import token_balances
    from keeper.model.plan import Funds, InFlight

    price = native_price_of(settings).at(session.protocol, snapshot, timestamp)
    tokens = session.protocol.purse(snapshot.state)
    address = session.deployment.means.keeper
    if not address:
        return Funds(UNLIMITED, price, dict.fromkeys(tokens, UNLIMITED)), InFlight()
    balances = await token_balances(session.chain.reader, snapshot.block, session.deployment.holder, tokens)
    native = await session.chain.reader.balance(address, snapshot.block)
    in_flight = _in_flight(settings)
    left = {token: max(amount - in_flight.spends.get(token, 0), 0) for token, amount in balances.items()}
    return Funds(max(native - in_flight.native, 0), price, left), in_flight


def _in_flight(settings: "Settings") -> "InFlight":
    """Intents of the journal that have not ended; none when there is no journal yet."""
    from keeper.execute.journal.journal import read_intents
    from keeper.model.plan import InFlight

    try:
        found = read_intents(settings.database_url.get_secret_value(), settings.data_dir)
        going = [intent for intent in found if not intent.state.final]
    except OperatorError:
        return InFlight()
    uses: Counter[str] = Counter()
    spends: Counter[bytes] = Counter()
    for intent in going:
        uses.update(intent.uses)
        spends.update(intent.spends)
    native = sum(
        intent.gas_limit * max((attempt.max_fee for attempt in intent.attempts), default=0) for intent in going
    )
    return InFlight(
        accounts=frozenset(intent.account for intent in going),
        uses=uses,
        spends=spends,
        native=native,
        count=len(going),
    )


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
        "message": item.message,
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
