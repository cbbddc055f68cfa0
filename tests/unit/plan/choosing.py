"""How tests of the planner ask it, and read its answer."""

from keeper.model.health import WAD
from keeper.model.plan import Funds, InFlight, Policy, Rejected, Rejection, Schedule
from keeper.plan.planner import Situation, choose
from tests.unit.plan.scripted import (
    GWEI,
    NOTHING_IN_FLIGHT,
    Scripted,
    assessment,
    funds,
    policy,
    snapshot,
)

CAP = "cap:ETH"
MARKET_GAS = 11 * GWEI  # base fee and tip of the next block
GAS_WAD = 44 * WAD // 10  # 200,000 gas at that fee and $2,000


def situation(balances: Funds, in_flight: InFlight = NOTHING_IN_FLIGHT) -> Situation:
    return Situation(snapshot(), 1_012, balances, in_flight)


def plan(
    protocol: Scripted,
    rules: Policy | None = None,
    balances: Funds | None = None,
    in_flight: InFlight = NOTHING_IN_FLIGHT,
    unpriced: tuple[bytes, ...] = (),
) -> Schedule:
    found = assessment(protocol, unpriced)
    return choose(protocol, situation(balances or funds(), in_flight), found, rules or policy())  # type: ignore[arg-type]


def only(schedule: Schedule) -> Rejected:
    assert not schedule.plans
    (rejected,) = schedule.rejected
    assert rejected.message
    assert not rejected.message.startswith(f"{rejected.reason}: ")
    return rejected


def accounts(schedule: Schedule) -> list[int]:
    return [int.from_bytes(found.account, "big") for found in schedule.plans]


def reasons(schedule: Schedule) -> dict[int, Rejection]:
    return {int.from_bytes(rejected.account, "big"): rejected.reason for rejected in schedule.rejected}
