"""The planner: what it sends, in which order, at which fee, and why it leaves the rest alone."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from keeper.errors import Refused
from keeper.model.chain import Call
from keeper.model.health import WAD
from keeper.model.plan import Funds, InFlight, Opportunity, Policy, Rejected, Rejection, Schedule, token_key
from keeper.plan.gas import MAX_TX_GAS, fee_market, gas_cost_wad
from keeper.plan.planner import Situation, choose
from keeper.protocols.base import NEVER, Snapshot
from keeper.protocols.columns import Columns, Writer
from tests.unit.plan.scripted import (
    GWEI,
    HEAD,
    NOTHING_IN_FLIGHT,
    USDC,
    Script,
    Scripted,
    address,
    assessment,
    book,
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


# ---- accounts without a plan


def test_an_unprofitable_one_says_what_it_pays_and_what_it_costs() -> None:
    rejected = only(plan(book(Script(reward=41 * WAD // 100))))
    assert rejected.reason is Rejection.UNPROFITABLE
    assert rejected.message == "reward $0.41 is less than gas $4.40"
    assert rejected.health_wad == 9 * WAD // 10


def test_the_minimum_profit_is_told_where_it_decides() -> None:
    rejected = only(plan(book(Script(reward=5 * WAD)), policy(min_profit_wad=WAD)))
    assert rejected.message == "reward $5.00 less gas $4.40 is below $1.00 (KEEPER_MIN_PROFIT_USD)"


def test_a_next_block_above_the_cap_is_a_fee_cap() -> None:
    rejected = only(plan(book(Script()), policy(max_fee=MARKET_GAS - 1)))
    assert rejected.reason is Rejection.FEE_CAP
    assert len(plan(book(Script()), policy(max_fee=MARKET_GAS)).plans) == 1


def test_an_account_without_a_legal_size_is_told_as_such() -> None:
    assert only(plan(book([]))).reason is Rejection.NO_LEGAL_SIZE


def test_an_adapters_refusal_is_passed_on() -> None:
    rejected = only(plan(book(Refused("hold", "the engine is paused"))))
    assert (rejected.reason, rejected.message) == (Rejection.HOLD, "the engine is paused")
    assert only(plan(book(Refused("odd")))).reason is Rejection.UNSUPPORTED


def test_a_refusal_to_encode_leaves_the_account_alone() -> None:
    protocol = book(Script(), Script())
    protocol.unencodable = frozenset({address(1)})
    schedule = plan(protocol)
    assert (accounts(schedule), reasons(schedule)) == ([2], {1: Rejection.HOLD})


def test_accounts_in_flight_and_cooling_down_are_left_alone() -> None:
    busy = InFlight(accounts=frozenset({address(1)}), cooling={address(2): 101, address(3): 100}, count=1)
    protocol = book(Script(), Script(), Script())
    schedule = plan(protocol, in_flight=busy)
    assert accounts(schedule) == [3]
    assert reasons(schedule) == {1: Rejection.IN_FLIGHT, 2: Rejection.COOLING_DOWN}


def test_unpriced_accounts_are_rejected_as_such() -> None:
    found = only(plan(book(), unpriced=(address(9),)))
    assert found.reason is Rejection.UNPRICED
    assert "BTC stale" in found.message
    assert "ETH" not in found.message


def test_accounts_that_the_screen_could_not_judge_are_named_in_the_adapters_words() -> None:
    writer = Writer(Columns(()))
    for number in range(1, 151):
        writer.touch(address(number))
    market = replace(snapshot(), columns=writer.columns)
    found = assessment(book(), tuple(address(number) for number in range(1, 151)))
    schedule = choose(book(), Situation(market, 1_012, funds(), NOTHING_IN_FLIGHT), found, policy())  # type: ignore[arg-type]
    assert [rejected.account for rejected in schedule.rejected] == list(found.unpriced)
    first, last = schedule.rejected[0], schedule.rejected[-1]
    assert (first.reason, first.message) == (Rejection.UNSUPPORTED, "a feed of another kind")
    assert last.reason is Rejection.UNPRICED  # asking for all could take as long as a block


def test_accounts_that_the_adapter_refuses_to_judge_are_rejected_once_each_with_its_words() -> None:
    refused = {address(9): ("unpriced", "the pool is too young"), address(8): ("odd", "an order without ticks")}
    found = replace(assessment(book(), (address(9),)), refused=refused)
    schedule = choose(book(), situation(funds()), found, policy())  # type: ignore[arg-type]
    assert reasons(schedule) == {8: Rejection.UNSUPPORTED, 9: Rejection.UNPRICED}
    messages = [rejected.message for rejected in schedule.rejected]
    assert messages == ["odd: an order without ticks", "the pool is too young"]


def test_nothing_is_planned_where_gas_cannot_be_valued() -> None:
    assert only(plan(book(Script()), balances=funds(price=0))).reason is Rejection.UNPRICED


def test_missing_tokens_are_named_with_amounts() -> None:
    rejected = only(plan(book(Script(spends=1_200_000_000, smallest=500)), balances=funds(usdc=300_000_000)))
    assert rejected.reason is Rejection.INSUFFICIENT_FUNDS
    assert rejected.message == "needs 1,200.00 USDC; 300.00 USDC is left"


def test_missing_coins_for_gas_are_named_with_amounts() -> None:
    rejected = only(plan(book(Script()), balances=funds(native=10**15)))
    assert rejected.reason is Rejection.INSUFFICIENT_FUNDS
    assert rejected.message == "gas needs 0.003300 of the native coin; the signer has 0.001000 left"


def test_a_gas_limit_that_no_transaction_may_have_is_refused_in_planning() -> None:
    protocol = book(Script(reward=10**6 * WAD, gas=MAX_TX_GAS))
    assert only(plan(protocol)).reason is Rejection.BLOCK_GAS


def test_the_blocks_gas_share_leaves_the_lesser_ones_out() -> None:
    protocol = book(Script(reward=50 * WAD), Script(reward=60 * WAD), Script(reward=40 * WAD))
    schedule = plan(protocol, policy(gas_share=0.02))  # two gas limits of 300,000 in 30 million
    assert (accounts(schedule), reasons(schedule)) == ([2, 1], {3: Rejection.BLOCK_GAS})


def test_gas_in_flight_is_taken_off_the_blocks_share() -> None:
    protocol = book(Script(reward=50 * WAD), Script(reward=60 * WAD), Script(reward=40 * WAD))
    rules = policy(gas_share=0.03)  # three gas limits of 300,000 in 30 million
    schedule = plan(protocol, rules, in_flight=InFlight(gas={MARKET_GAS: 400_000, 10 * GWEI: 100_000}))
    assert (accounts(schedule), reasons(schedule)) == ([2], {1: Rejection.BLOCK_GAS, 3: Rejection.BLOCK_GAS})
    assert (
        schedule.rejected[0].message
        == "needs 300,000 gas; 100,000 gas of the keeper's share of the block is left (KEEPER_GAS_SHARE)"
    )
    full = plan(protocol, rules, in_flight=InFlight(gas={MARKET_GAS: 1_000_000}))
    assert (full.plans, set(reasons(full).values())) == ((), {Rejection.BLOCK_GAS})


def test_what_offers_less_than_the_next_base_fee_takes_no_gas_of_the_next_block() -> None:
    busy = InFlight(gas={10 * GWEI - 1: 900_000})
    assert accounts(plan(book(Script()), policy(gas_share=0.01), in_flight=busy)) == [1]


def test_places_in_flight_go_to_the_best() -> None:
    protocol = book(Script(reward=50 * WAD), Script(reward=60 * WAD), Script(reward=40 * WAD))
    schedule = plan(protocol, policy(max_in_flight=3), in_flight=InFlight(count=2))
    assert accounts(schedule) == [2]
    assert set(reasons(schedule).values()) == {Rejection.TOO_MANY_IN_FLIGHT}


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
