"""Fees of replacements."""

from hypothesis import given, strategies as st

from keeper.execute.tx.fees import bump, bumped_fees, fee_until_deadline, max_bid, next_base
from keeper.model.chain import BlockRef
from keeper.model.fees import Fees
from keeper.model.plan import Policy

FEES = st.integers(0, 10**13)
POLICY = Policy(11 * 10**17, 0, 0.0, 500 * 10**9, 10**9, 6, 16, 0.5)


def block(base_fee: int, used: int = 15_000_000) -> BlockRef:
    return BlockRef(1, b"\1" * 32, b"\0" * 32, 100, base_fee, used)


@given(max_fee=FEES, share=st.fractions(0, 1), need=FEES, limit=FEES)
def test_a_rung_is_at_least_ten_percent_up_on_both_fields_and_within_the_limit(max_fee, share, need, limit):
    known = Fees(max_fee, int(max_fee * share))
    rung = bumped_fees(known, need, limit)
    if rung is None:
        assert bump(max_fee) > limit
        return
    assert rung.max_fee * 100 >= known.max_fee * 110
    assert rung.priority_fee * 100 >= known.priority_fee * 110
    assert rung.max_fee > known.max_fee
    assert rung.priority_fee > known.priority_fee
    assert rung.priority_fee <= rung.max_fee <= limit


def test_a_rung_follows_what_the_base_fee_needs():
    assert bumped_fees(Fees(100, 10), need=500, limit=1000) == Fees(500, 11)
    assert bumped_fees(Fees(100, 10), need=5000, limit=1000) == Fees(1000, 11)


def test_replacement_is_refused_above_the_limit():
    assert bumped_fees(Fees(100, 10), need=0, limit=109) is None
    assert bumped_fees(Fees(100, 10), need=0, limit=110) == Fees(110, 11)


@given(bid=FEES, cap=FEES)
def test_whatever_a_liquidation_offers_a_self_transfer_can_outbid_within_the_cap(bid, cap):
    limit = max_bid(bid, cap)
    assert limit <= bid
    if limit >= 10:  # a wei of fee is not a tenth
        assert bump(limit) <= cap


def test_the_next_base_fee_is_the_chains():
    known = BlockRef(1, b"", b"", 0, 1_000_000_000, 30_025_257, 30_029_122)
    assert next_base(known, POLICY) == 1_124_967_822


@given(base_fee=st.integers(1, 10**12), blocks=st.integers(1, 12), tip=st.integers(0, 10**10))
def test_the_needed_fee_outlives_full_blocks_until_the_deadline(base_fee, blocks, tip):
    fee = fee_until_deadline(block(base_fee), blocks, tip, POLICY)
    base = base_fee
    for used in [15_000_000] + [30_000_000] * (blocks - 1):
        base = next_base(block(base, used), POLICY)
        assert base + tip <= fee
