"""The states of an intent."""

import pytest
from hypothesis import given, strategies as st

from keeper.errors import InvariantBroken
from keeper.execute.journal import transitions
from keeper.model.intent import Attempt, IntentState

STATES = st.sampled_from(list(IntentState))


def attempt(cancels: bool) -> Attempt:
    return Attempt(1, b"\1" * 32, b"raw", 10, 1, cancels, 5)


def test_every_state_has_its_edges_written_down():
    assert set(transitions.EDGES) == set(IntentState)


@given(state=STATES, to=STATES)
def test_a_final_state_is_never_left_but_by_a_reorg(state, to):
    if state.final:
        with pytest.raises(InvariantBroken):
            transitions.advance(state, to)
    if state not in transitions.REOPENS:
        with pytest.raises(InvariantBroken):
            transitions.reopened(state, [attempt(cancels=False)])


@given(steps=st.lists(STATES, max_size=12))
def test_walks_end_in_one_outcome_and_never_return(steps):
    state, seen = IntentState.RESERVED, [IntentState.RESERVED]
    for to in steps:
        if to in transitions.EDGES[state]:
            state = transitions.advance(state, to)
            assert state not in seen
            seen.append(state)
    assert sum(past.final for past in seen) <= 1


@given(state=STATES)
def test_every_open_state_can_reach_an_end(state):
    reached, frontier = set(), {state}
    while frontier:
        reached |= frontier
        frontier = {to for found in frontier for to in transitions.EDGES[found]} - reached
    assert any(found.final for found in reached)


def test_a_transaction_that_may_have_left_is_never_dropped():
    droppable = {state for state, edges in transitions.EDGES.items() if IntentState.DROPPED in edges}
    assert droppable == {IntentState.RESERVED, IntentState.SIGNED}


@given(state=st.sampled_from(sorted(transitions.REOPENS)), cancels=st.booleans())
def test_a_reorg_leads_back_to_what_was_out(state, cancels):
    expected = IntentState.CANCELLING if cancels else IntentState.PENDING
    assert transitions.reopened(state, [attempt(cancels=False), attempt(cancels)]) is expected


@given(state=STATES, cancels=st.booleans())
def test_nothing_is_signed_after_the_end_and_no_liquidation_after_a_cancellation(state, cancels):
    if state.final or (state is IntentState.CANCELLING and not cancels):
        with pytest.raises(InvariantBroken):
            transitions.after_signing(state, cancels)
    else:
        after = transitions.after_signing(state, cancels)
        assert (after is IntentState.CANCELLING) == cancels
        assert not after.final
