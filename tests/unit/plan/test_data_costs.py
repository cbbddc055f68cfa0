"""What a rollup charges for calldata decides profit, floor, rank and reservation; on Arbitrum it is gas."""

from dataclasses import replace

from keeper.model.data_fees import NO_DATA_FEES, DataFees
from keeper.model.health import WAD
from keeper.model.plan import InFlight, Rejection, Schedule
from keeper.plan.planner import Situation, choose
from keeper.protocols.executor.batching import packed
from tests.unit.plan.scripted import (
    GWEI,
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

GAS_WAD = 44 * WAD // 10  # 200,000 gas at 11 gwei and $2,000
FLAT = DataFees(least=WAD // 100)  # 0.01 coins, $20, whatever the size
ARBITRUM = DataFees(byte_price=1_000 * GWEI, gas_price=GWEI)


def plan(protocol: Scripted, fees: DataFees, native: int = 100 * WAD, in_flight: InFlight | None = None) -> Schedule:
    situation = Situation(replace(snapshot(), data_fees=fees), 1_012, funds(native), in_flight or NOTHING_IN_FLIGHT)
    return choose(protocol, situation, assessment(protocol), policy())  # type: ignore[arg-type]


def test_the_data_fee_is_taken_off_the_profit_and_added_to_the_floor() -> None:
    with_fee, without = (book(Script(reward=100 * WAD)) for _ in range(2))
    [dear], [cheap] = plan(with_fee, FLAT).plans, plan(without, NO_DATA_FEES).plans
    assert cheap.value_wad == 100 * WAD - GAS_WAD
    assert dear.value_wad == cheap.value_wad - 20 * WAD
    floors = [protocol.floors[address(1)] for protocol in (with_fee, without)]
    bids = 200_000 * 2_000 * (cheap.bid - dear.bid)
    assert floors[0] - floors[1] == 20 * WAD - bids


def test_a_liquidation_that_does_not_pay_for_its_data_is_not_sent() -> None:
    protocol = book(Script(reward=20 * WAD))
    [rejected] = plan(protocol, FLAT).rejected
    assert rejected.reason is Rejection.UNPROFITABLE
    assert plan(book(Script(reward=20 * WAD)), NO_DATA_FEES).plans


def test_the_data_fee_decides_the_rank() -> None:
    """The second pays more, but takes so much more gas that an operator's fee on gas turns the order."""
    scripts = Script(reward=100 * WAD), Script(reward=110 * WAD, gas=400_000, subject="BTC")
    first = [found.account for found in plan(book(*scripts), NO_DATA_FEES).plans]
    turned = [found.account for found in plan(book(*scripts), DataFees(operator=(0, 20 * WAD))).plans]
    assert first == [address(2), address(1)]
    assert turned != first


def test_the_signer_must_hold_gas_and_data_fee() -> None:
    gas = 300_000 * 11 * GWEI
    least = FLAT.most(25, 300_000)
    assert least > WAD // 100
    [rejected] = plan(book(Script()), FLAT, native=gas + least - 1).rejected
    assert rejected.reason is Rejection.INSUFFICIENT_FUNDS
    [found] = plan(book(Script()), FLAT, native=gas + least).plans
    assert found.data_fee == least


def test_plans_of_one_block_share_the_coins_for_their_data() -> None:
    one = 300_000 * 11 * GWEI + FLAT.most(25, 300_000)
    schedule = plan(book(Script(), Script()), FLAT, native=2 * one - 1)
    assert len(schedule.plans) == 1
    assert [found.reason for found in schedule.rejected] == [Rejection.INSUFFICIENT_FUNDS]


def test_on_arbitrum_the_data_is_in_the_gas_limit_and_in_the_cost() -> None:
    [found], [plain] = plan(book(Script()), ARBITRUM).plans, plan(book(Script()), NO_DATA_FEES).plans
    length = len(found.call.data)
    assert found.opportunity.gas_limit == plain.opportunity.gas_limit + ARBITRUM.most_gas(length)
    assert found.opportunity.gas == plain.opportunity.gas + ARBITRUM.expected_gas(found.call.data)
    assert found.value_wad < plain.value_wad
    assert found.data_fee == 0


def test_without_data_fees_no_calldata_is_made_for_an_estimate() -> None:
    protocol = book(Script(reward=WAD))  # does not pay for its gas
    assert not plan(protocol, NO_DATA_FEES).plans
    assert protocol.floors == {}


def test_what_cannot_be_encoded_is_refused_with_its_reason() -> None:
    protocol = book(Script())
    protocol.unencodable = frozenset([address(1)])
    [rejected] = plan(protocol, FLAT).rejected
    assert rejected.reason is Rejection.HOLD


def test_a_batch_reserves_the_data_fees_of_its_steps() -> None:
    plans = plan(book(Script(), Script()), FLAT).plans
    assert sum(found.data_fee for found in packed(plans, 1, 10**7)) == 2 * plans[0].data_fee
