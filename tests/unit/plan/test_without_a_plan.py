"""Why the planner leaves an account without a plan, in which words."""

from dataclasses import replace

from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.model.plan import InFlight, Rejection
from keeper.plan.gas import MAX_TX_GAS
from keeper.plan.planner import Situation, choose
from keeper.protocols.columns import Columns, Writer
from tests.unit.plan.choosing import MARKET_GAS, accounts, only, plan, reasons, situation
from tests.unit.plan.scripted import (
    GWEI,
    NOTHING_IN_FLIGHT,
    Script,
    address,
    assessment,
    book,
    funds,
    policy,
    snapshot,
)


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
