"""The order of a block's plans: what shares a pool is quoted after the earlier ones, and bounded by that quote."""

from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from keeper.model.health import WAD
from keeper.model.plan import InFlight, OwnLiquidation, Rejection, Schedule
from keeper.plan.planner import Situation, choose
from tests.unit.plan.scripted import (
    NOTHING_IN_FLIGHT,
    Script,
    Scripted,
    address,
    assessment,
    book,
    funds,
    policy,
    snapshot,
)

POOL, OTHER = b"\xaa" * 20, b"\xbb" * 20
GAS_WAD = 44 * WAD // 10


def plan(protocol: Scripted, in_flight: InFlight = NOTHING_IN_FLIGHT, **rules: object) -> Schedule:
    situation = Situation(snapshot(), 1_012, funds(), in_flight)
    return choose(protocol, situation, assessment(protocol), policy(**rules))  # type: ignore[arg-type]


def rewards(schedule: Schedule) -> list[int]:
    return [found.opportunity.reward_wad // WAD for found in schedule.plans]


def test_the_nth_sale_in_a_pool_is_quoted_after_the_earlier_ones() -> None:
    protocol = book(*[Script(reward=reward * WAD, pool=POOL, falls=10 * WAD) for reward in (100, 99, 98)])
    schedule = plan(protocol)
    assert rewards(schedule) == [100, 89, 78]
    assert [found.value_wad for found in schedule.plans] == [
        100 * WAD - GAS_WAD,
        89 * WAD - GAS_WAD,
        78 * WAD - GAS_WAD,
    ]


def test_only_what_shares_a_pool_is_asked_for_again() -> None:
    protocol = book(
        Script(reward=100 * WAD, pool=POOL, falls=10 * WAD),
        Script(reward=99 * WAD, pool=OTHER, falls=10 * WAD),
        Script(reward=98 * WAD),
        Script(reward=97 * WAD, pool=POOL, falls=10 * WAD),
    )
    assert rewards(plan(protocol)) == [100, 99, 98, 87]
    assert protocol.asked == 5


def test_one_that_no_longer_pays_is_refused_and_gives_back_what_it_drew_on() -> None:
    protocol = book(
        Script(reward=100 * WAD, pool=POOL, falls=60 * WAD, uses={"cap": (400, 1_000)}),
        Script(reward=60 * WAD, pool=POOL, falls=60 * WAD, uses={"cap": (400, 1_000)}),
        Script(reward=50 * WAD, pool=OTHER, uses={"cap": (200, 1_000)}),
        Script(reward=40 * WAD, pool=OTHER, uses={"cap": (400, 1_000)}, smallest=1_000),
    )
    schedule = plan(protocol)
    assert [found.account for found in schedule.plans] == [address(1), address(3), address(4)]
    reasons = {rejected.account: rejected.reason for rejected in schedule.rejected}
    assert reasons[address(2)] is Rejection.UNPROFITABLE


def test_the_place_of_one_that_no_longer_pays_goes_to_the_next() -> None:
    protocol = book(
        Script(reward=100 * WAD, pool=POOL, falls=60 * WAD),
        Script(reward=60 * WAD, pool=POOL, falls=60 * WAD),
        Script(reward=50 * WAD, pool=POOL, falls=60 * WAD),
        Script(reward=40 * WAD, pool=OTHER),
        Script(reward=30 * WAD, pool=OTHER),
    )
    schedule = plan(protocol, max_in_flight=2)
    assert [found.account for found in schedule.plans] == [address(1), address(4)]
    reasons = {rejected.account: rejected.reason for rejected in schedule.rejected}
    unprofitable, full = Rejection.UNPROFITABLE, Rejection.TOO_MANY_IN_FLIGHT
    assert reasons == {address(2): unprofitable, address(3): unprofitable, address(5): full}


def test_another_way_is_taken_where_the_pool_of_the_first_is_sold_out() -> None:
    here, there = Script(reward=90 * WAD, pool=POOL, falls=60 * WAD), Script(reward=70 * WAD, pool=OTHER, subject="BTC")
    schedule = plan(book(Script(reward=100 * WAD, pool=POOL), [here, there]))
    assert [found.opportunity.pools for found in schedule.plans] == [(POOL,), (OTHER,)]


def test_what_is_in_flight_executes_first() -> None:
    protocol = book(Script(reward=100 * WAD, pool=POOL, falls=10 * WAD))
    ahead = tuple(OwnLiquidation((address(number),), {f"0x{POOL.hex()}": 1}) for number in (7, 8))
    [found] = plan(protocol, InFlight(ahead=ahead)).plans
    assert found.opportunity.reward_wad == 80 * WAD
    assert protocol.asked == 1


@pytest.mark.parametrize(("slip", "floor"), [("0", 100), ("0.05", 95), ("0.2", 80)])
def test_the_call_reverts_below_the_quote_less_the_slip(slip: str, floor: int) -> None:
    protocol = book(Script(reward=100 * WAD))
    [found] = plan(protocol, max_slip=Fraction(slip)).plans
    assert protocol.floors[address(1)] == floor * WAD
    assert 0 < found.covering * floor * WAD == pytest.approx(plain_floor())


def plain_floor() -> int:
    """The floor of the same plan without a bound: gas at the bid."""
    protocol = book(Script(reward=100 * WAD))
    plan(protocol)
    return protocol.floors[address(1)]


def test_gas_at_the_bid_stays_the_floor_where_it_is_more() -> None:
    protocol = book(Script(reward=100 * WAD))
    [found] = plan(protocol, max_slip=Fraction("0.9")).plans
    assert protocol.floors[address(1)] == plain_floor() > 10 * WAD
    assert found.covering == 1


def test_a_reward_below_nothing_is_refused_whatever_a_rescue_may_cost() -> None:
    schedule = plan(book(Script(reward=-WAD, saved=10**6 * WAD)), min_profit_wad=-100 * WAD, bad_debt_weight=1.0)
    [rejected] = schedule.rejected
    assert rejected.reason is Rejection.UNPROFITABLE


@given(
    st.lists(
        st.builds(
            Script,
            reward=st.integers(-5, 60).map(lambda dollars: dollars * WAD),
            pool=st.sampled_from([POOL, OTHER, b""]),
            falls=st.integers(0, 20).map(lambda dollars: dollars * WAD),
        ),
        max_size=8,
    ),
    st.integers(1, 8),
)
@settings(deadline=None, max_examples=100)
def test_every_reward_is_what_is_left_after_the_earlier_plans(scripts: list[Script], most: int) -> None:
    schedule = plan(book(*scripts), max_in_flight=most, max_slip=Fraction("0.05"))
    sold: dict[bytes, int] = {}
    for found in schedule.plans:
        script = scripts[int.from_bytes(found.account, "big") - 1]
        assert found.opportunity.reward_wad == script.reward - script.falls * sold.get(script.pool, 0)
        if script.pool:
            sold[script.pool] = sold.get(script.pool, 0) + 1
    assert len(schedule.plans) + len(schedule.rejected) == len(scripts)
