"""Which nonces new intents get."""

from hypothesis import given, strategies as st

from keeper.execute.tx.nonces import allocate, floor, gaps

TAKEN = st.sets(st.integers(0, 40), max_size=12)


def test_a_freed_nonce_is_used_before_a_new_one():
    assert allocate(3, chain_nonce=5, consumed=4, taken={6, 8}) == [5, 7, 9]


def test_the_journal_outranks_a_node_that_lags():
    assert allocate(1, chain_nonce=3, consumed=6, taken=set()) == [7]


@given(count=st.integers(0, 10), chain=st.integers(0, 30), consumed=st.integers(-1, 30), taken=TAKEN)
def test_given_nonces_are_free_rising_and_leave_no_gap(count, chain, consumed, taken):
    given_nonces = allocate(count, chain, consumed, taken)
    assert len(given_nonces) == count == len(set(given_nonces))
    assert given_nonces == sorted(given_nonces)
    assert not set(given_nonces) & taken
    if given_nonces:
        below = set(range(floor(chain, consumed), given_nonces[-1]))
        assert below <= taken | set(given_nonces)


@given(chain=st.integers(0, 30), consumed=st.integers(-1, 30), taken=TAKEN)
def test_gaps_are_what_the_chain_waits_for_below_the_highest_nonce_on_its_way(chain, consumed, taken):
    found = gaps(chain, consumed, taken)
    assert all(nonce < max(taken) and nonce not in taken and nonce >= chain for nonce in found)
    assert gaps(chain, consumed, taken | set(found)) == []
