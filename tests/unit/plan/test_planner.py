"""The planner: what it sends, in which order, at which fee, and why it leaves the rest alone."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from keeper.model.chain import Call
from keeper.model.health import WAD
from keeper.model.plan import Funds, InFlight, Opportunity, Policy, Rejection, token_key
from keeper.plan.gas import fee_market, gas_cost_wad
from keeper.plan.planner import choose
from keeper.protocols.base import NEVER, Snapshot
from tests.unit.plan.choosing import CAP, GAS_WAD, accounts, only, plan, reasons, situation
from tests.unit.plan.scripted import (
    GWEI,
    HEAD,
    USDC,
    Script,
    Scripted,
    address,
    assessment,
    book,
    funds,
    policy,
)

# ---- what is sent


def test_a_profitable_liquidation_is_planned_with_its_value_fees_and_deadline() -> None:
    protocol = book(Script(reward=100 * WAD))
    (found,) = plan(protocol, policy(deadline_blocks=2)).plans
    assert found.value_wad == 100 * WAD - GAS_WAD
    assert found.score == pytest.approx(95.6)
    assert (found.planned_block, found.deadline_block) == (100, 102)
    assert found.max_fee == 10 * GWEI * 81 // 64 + GWEI
    assert (found.priority_fee, found.bid) == (GWEI, 4 * found.max_fee)
    assert found.call.data == address(1) + b"ETH"


def test_the_call_reverts_below_the_minimum_profit_at_the_bid() -> None:
    protocol = book(Script(reward=100 * WAD))
    (found,) = plan(protocol, policy(min_profit_wad=WAD)).plans
    cost = gas_cost_wad(found.opportunity.gas, found.bid, funds().native_price_wad)
    assert protocol.floors[address(1)] == WAD + cost
    assert GAS_WAD < cost < 95 * WAD


def test_the_call_carries_a_deadline_that_slow_blocks_do_not_reach() -> None:
    protocol = book(Script(reward=100 * WAD))
    plan(protocol, policy(deadline_blocks=2))
    head, usual = HEAD.timestamp, 1_012 - HEAD.timestamp
    assert protocol.deadlines[address(1)] == head + 120 + 4 * 2 * usual


def test_the_executors_floor_is_kept_where_it_is_higher() -> None:
    for units, floor_wad in ((60 * 10**6, 60 * WAD + 1), (1, None)):
        protocol = book(Script(reward=100 * WAD))
        plan(protocol, balances=funds(floors={USDC: units}))
        own = protocol.floors[address(1)]
        assert own == floor_wad if floor_wad else own > WAD


def test_what_earns_less_than_the_executors_floor_is_not_planned() -> None:
    rejected = only(plan(book(Script(reward=100 * WAD)), balances=funds(floors={USDC: 101 * 10**6})))
    assert rejected.message == "reward $100.00, the executor's floor $101.00"


def test_an_adapter_whose_encode_takes_no_deadline_works_as_before() -> None:
    class Older(Scripted):
        def encode(self, snapshot: Snapshot, opportunity: Opportunity, floor_wad: int) -> Call:  # type: ignore[override]
            return super().encode(snapshot, opportunity, floor_wad, deadline=NEVER)

    protocol = Older(book(Script(reward=100 * WAD)).book)
    (found,) = plan(protocol).plans
    assert found.call.data == address(1) + b"ETH"
    assert protocol.deadlines == {address(1): NEVER}


def test_a_keeper_that_pays_for_solvency_asks_for_no_less_than_nothing() -> None:
    protocol = book(Script(reward=0, saved=50 * WAD))
    (found,) = plan(protocol, policy(min_profit_wad=-10 * WAD, bad_debt_weight=0.0)).plans
    assert found.value_wad == -GAS_WAD
    assert protocol.floors[address(1)] == 0


def test_the_best_come_first_and_ties_go_by_address() -> None:
    protocol = book(Script(reward=10 * WAD), Script(reward=30 * WAD), Script(reward=10 * WAD), Script(reward=20 * WAD))
    assert accounts(plan(protocol)) == [2, 4, 1, 3]


def test_bad_debt_prevented_adds_to_the_rank_as_far_as_the_operator_weighs_it() -> None:
    protocol = book(Script(reward=30 * WAD), Script(reward=10 * WAD, saved=50 * WAD))
    assert accounts(plan(protocol)) == [1, 2]
    assert accounts(plan(protocol, policy(bad_debt_weight=0.5))) == [2, 1]


def test_of_two_ways_to_liquidate_an_account_the_better_one_is_taken() -> None:
    protocol = book([Script(reward=30 * WAD, gas=2_000_000), Script(reward=20 * WAD, subject="BTC")])
    (found,) = plan(protocol).plans
    assert found.opportunity.subject == "BTC"


def test_the_other_way_is_taken_where_the_better_one_lacks_funds() -> None:
    protocol = book([Script(reward=30 * WAD, spends=100, smallest=1_000), Script(reward=20 * WAD, subject="BTC")])
    (found,) = plan(protocol, balances=funds(usdc=99)).plans
    assert found.opportunity.subject == "BTC"


def test_the_first_fee_never_exceeds_the_bid_the_cap_or_the_purse() -> None:
    thin = book(Script(reward=5 * WAD))
    (found,) = plan(thin).plans
    assert found.max_fee == found.bid == 11_875_000_000  # 95 % of the reward
    (found,) = plan(book(Script()), policy(max_fee=12 * GWEI)).plans
    assert found.max_fee == found.bid == 12 * GWEI
    (found,) = plan(book(Script()), balances=funds(native=300_000 * 12 * GWEI)).plans
    assert found.max_fee == 12 * GWEI


def test_a_reward_that_may_slip_is_bid_for_with_what_would_be_left() -> None:
    (firm,) = plan(book(Script(reward=20 * WAD))).plans
    (shared,) = plan(protocol := book(Script(reward=20 * WAD, slip=50))).plans
    assert shared.value_wad == firm.value_wad
    assert shared.bid < firm.bid
    assert protocol.floors[address(1)] <= 10 * WAD


# ---- shared limits


def test_a_limit_drawn_down_by_a_better_plan_leaves_a_smaller_size() -> None:
    protocol = book(
        Script(reward=80 * WAD, uses={CAP: (800, 1_000)}), Script(reward=70 * WAD, uses={CAP: (800, 1_000)})
    )
    schedule = plan(protocol)
    assert accounts(schedule) == [1, 2]
    assert [found.opportunity.uses[CAP][0] for found in schedule.plans] == [800, 200]


def test_a_limit_that_leaves_no_legal_size_is_told_as_shared() -> None:
    script = Script(reward=80 * WAD, uses={CAP: (800, 1_000)}, smallest=500)
    schedule = plan(book(script, script))
    assert (accounts(schedule), reasons(schedule)) == ([1], {2: Rejection.SHARED_LIMIT})
    assert schedule.rejected[0].message == "needs 80.0% of the limit cap:ETH; 20.0% is left"


def test_plans_in_flight_draw_on_shared_limits() -> None:
    protocol = book(Script(uses={CAP: (800, 1_000)}))
    (found,) = plan(protocol, in_flight=InFlight(uses={CAP: 700})).plans
    assert found.opportunity.uses[CAP][0] == 300
    assert only(plan(protocol, in_flight=InFlight(uses={CAP: 1_100}))).reason is Rejection.SHARED_LIMIT


def test_capital_that_is_short_makes_the_size_smaller() -> None:
    (found,) = plan(book(Script(spends=1_000)), balances=funds(usdc=400)).plans
    assert found.opportunity.spends[USDC] == 400


def test_capital_is_spent_once() -> None:
    protocol = book(Script(reward=80 * WAD, spends=800), Script(reward=70 * WAD, spends=800))
    schedule = plan(protocol, balances=funds(usdc=1_000))
    assert [found.opportunity.spends[USDC] for found in schedule.plans] == [800, 200]


# ---- what holds for any book

wads = st.integers(0, 60 * WAD)
amounts = st.integers(0, 1_000)
keys = st.sampled_from(["cap:ETH", "cap:BTC"])
scripts = st.builds(
    Script,
    reward=wads,
    gas=st.integers(100_000, 900_000),
    uses=st.dictionaries(keys, amounts.map(lambda amount: (amount, 1_500)), max_size=2),
    spends=amounts,
    saved=wads,
    smallest=st.integers(1, 1_000),
    subject=st.sampled_from(["ETH", "BTC"]),
)
books = st.lists(st.lists(scripts, max_size=2), max_size=8)
rules = st.builds(
    policy,
    min_profit_wad=st.integers(-10 * WAD, 10 * WAD),
    bad_debt_weight=st.floats(0, 2),
    max_fee=st.integers(5 * GWEI, 500 * GWEI),
    max_in_flight=st.integers(1, 8),
    gas_share=st.floats(0.01, 1),
    deadline_blocks=st.integers(1, 50),
)
purses = st.builds(funds, native=st.integers(0, 10**17), usdc=st.integers(0, 3_000))
busy = st.builds(
    InFlight,
    accounts=st.frozensets(st.integers(1, 8).map(address), max_size=2),
    uses=st.dictionaries(keys, amounts, max_size=2),
    count=st.integers(0, 4),
    gas=st.dictionaries(st.integers(9 * GWEI, 11 * GWEI), st.integers(0, 20_000_000), max_size=3),
)


@given(books, rules, purses, busy)
@settings(deadline=None, max_examples=150)
def test_a_schedule_keeps_to_every_budget_and_leaves_no_account_without_an_answer(
    scripted: list[list[Script]], rules: Policy, balances: Funds, in_flight: InFlight
) -> None:
    protocol = book(*scripted)
    schedule = plan(protocol, rules, balances, in_flight)
    plans = schedule.plans
    answered = [found.account for found in plans] + [rejected.account for rejected in schedule.rejected]
    assert sorted(answered) == protocol.addresses
    assert [found.score for found in plans] == sorted((found.score for found in plans), reverse=True)
    assert len(plans) <= max(rules.max_in_flight - in_flight.count, 0)
    gas_in_flight = sum(gas for fee, gas in in_flight.gas.items() if fee >= 10 * GWEI)
    gas_left = max(rules.gas_share * HEAD.gas_limit - gas_in_flight, 0)
    assert sum(found.opportunity.gas_limit for found in plans) <= gas_left
    assert sum(found.opportunity.gas_limit * found.max_fee for found in plans) <= balances.native
    assert sum(found.opportunity.spends.get(USDC, 0) for found in plans) <= balances.tokens[USDC]
    for key in ("cap:ETH", "cap:BTC"):
        drawn = sum(found.opportunity.uses.get(key, (0, 0))[0] for found in plans)
        assert drawn <= max(1_500 - in_flight.uses.get(key, 0), 0)


@given(books, rules, purses, busy)
@settings(deadline=None, max_examples=100)
def test_no_plan_falls_below_the_minimum_profit_at_its_own_bid(
    scripted: list[list[Script]], rules: Policy, balances: Funds, in_flight: InFlight
) -> None:
    market = fee_market(HEAD, rules)
    protocol = book(*scripted)
    for found in plan(protocol, rules, balances, in_flight).plans:
        opportunity = found.opportunity
        cost = gas_cost_wad(opportunity.gas, found.bid, balances.native_price_wad)
        assert opportunity.reward_wad - cost >= rules.min_profit_wad
        assert market.expected <= found.max_fee <= min(found.bid, market.ladder)
        assert found.bid <= rules.max_fee
        assert protocol.floors[found.account] == max(rules.min_profit_wad + cost, 0)
        assert protocol.floors[found.account] <= max(opportunity.reward_wad, 0)


@given(books, rules, purses, busy)
@settings(deadline=None, max_examples=40)
def test_the_same_inputs_give_the_same_schedule_in_whatever_order_accounts_come(
    scripted: list[list[Script]], rules: Policy, balances: Funds, in_flight: InFlight
) -> None:
    protocol = book(*scripted)
    found = assessment(protocol)
    turned = replace(found, unsafe=found.unsafe[::-1])
    first, again, other = (
        choose(protocol, situation(balances, in_flight), seen, rules)  # type: ignore[arg-type]
        for seen in (found, found, turned)
    )
    assert first == again
    assert first.plans == other.plans
    assert sorted(first.rejected, key=lambda r: r.account) == sorted(other.rejected, key=lambda r: r.account)


def test_an_adapter_is_asked_once_for_each_account_where_nothing_is_short() -> None:
    protocol = book(*[Script(uses={CAP: (1, 1_000)})] * 10)
    plan(protocol)
    assert protocol.asked == 10


def test_token_limits_are_given_to_adapters_by_name() -> None:
    assert token_key(USDC) == "token:0x" + "cc" * 20
