"""Base fees and bids in exact integers."""

import pytest
from hypothesis import given, strategies as st

from keeper.model.chain import BlockRef
from keeper.model.fees import fee_for_deadline, highest_base_fee, next_base_fee
from keeper.model.health import WAD
from keeper.plan.gas import fee_market, gas_cost_wad, highest_fee
from tests.unit.plan.scripted import GWEI, policy

LIMIT = 30_000_000
fees = st.integers(0, 10**15)


def test_next_base_fee_equals_a_block_of_mainnet() -> None:
    assert next_base_fee(10**9, 30_025_257, 30_029_122) == 1_124_967_822


def test_base_fee_stands_still_at_the_target_and_moves_by_an_eighth_at_the_ends() -> None:
    assert next_base_fee(20 * GWEI, LIMIT // 2, LIMIT) == 20 * GWEI
    assert next_base_fee(20 * GWEI, LIMIT, LIMIT) == 22_500_000_000
    assert next_base_fee(20 * GWEI, 0, LIMIT) == 17_500_000_000


def test_a_rising_base_fee_rises_by_at_least_one_wei_and_a_falling_one_may_stand_still() -> None:
    assert next_base_fee(0, LIMIT, LIMIT) == 1
    assert next_base_fee(7, LIMIT // 2 + 1, LIMIT) == 8
    assert next_base_fee(7, LIMIT // 2 - 1, LIMIT) == 7


def test_denominator_and_elasticity_are_the_chains() -> None:
    assert next_base_fee(10**9, LIMIT, LIMIT, denominator=250, elasticity=6) == 1_020_000_000
    assert next_base_fee(10**9, 0, LIMIT, denominator=250, elasticity=6) == 996_000_000
    assert highest_base_fee(10**9, 1, denominator=50, elasticity=6) == 1_100_000_000


@pytest.mark.parametrize(("blocks", "gwei"), [(0, 20.0), (1, 22.5), (6, 40.5457)])
def test_highest_base_fee_grows_by_an_eighth_a_block(blocks: int, gwei: float) -> None:
    assert highest_base_fee(20 * GWEI, blocks) / GWEI == pytest.approx(gwei, abs=1e-4)


@given(fees, st.lists(st.integers(0, LIMIT), max_size=12))
def test_no_chain_of_blocks_exceeds_the_bound(base_fee: int, used: list[int]) -> None:
    fee = base_fee
    for gas in used:
        fee = next_base_fee(fee, gas, LIMIT)
    assert fee <= highest_base_fee(base_fee, len(used))


@given(fees, st.integers(0, 20))
def test_the_bound_is_reached_within_a_wei_a_block_by_full_blocks(base_fee: int, blocks: int) -> None:
    fee = base_fee
    for _ in range(blocks):
        fee = next_base_fee(fee, LIMIT, LIMIT)
    assert highest_base_fee(base_fee, blocks) - fee <= sum(9**n // 8**n + 1 for n in range(blocks))


def test_twice_the_base_fee_covers_five_full_blocks_and_not_six() -> None:
    assert fee_for_deadline(20 * GWEI, 0, 5) < 40 * GWEI < fee_for_deadline(20 * GWEI, 0, 6)


def test_the_fee_market_starts_from_the_next_block() -> None:
    head = BlockRef(1, b"", b"", 0, base_fee=20 * GWEI, gas_used=LIMIT, gas_limit=LIMIT)
    market = fee_market(head, policy(deadline_blocks=1, priority_fee=GWEI))
    assert (market.base_fee, market.expected, market.ladder) == (22_500_000_000, 23_500_000_000, 26_312_500_000)


@given(
    st.integers(-(10**21), 10**24),
    st.integers(21_000, 10**7),
    st.integers(1, 10**23),
    st.integers(-(10**20), 10**20),
    st.integers(1, 10**13),
)
def test_the_bid_is_the_highest_fee_that_leaves_the_minimum_profit(
    reward: int, gas: int, native: int, least: int, cap: int
) -> None:
    bid = highest_fee(reward, gas, native, least, cap)
    assert reward - gas_cost_wad(gas, bid, native) >= least
    assert bid == cap or reward - gas_cost_wad(gas, bid + 1, native) < least


def test_gas_costs_are_rounded_up() -> None:
    assert gas_cost_wad(200_000, 10 * GWEI, 2_000 * WAD) == 4 * WAD
    assert gas_cost_wad(1, 1, 1) == 1
