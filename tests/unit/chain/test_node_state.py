"""The states of a node: which edges there are, when its circuit opens, and how long it is left alone."""

from itertools import product

import pytest
from hypothesis import given, strategies as st

from keeper.chain.node_state import LONGEST_PAUSE_S, NodeHealth, NodeState
from keeper.errors import InvariantBroken


def alive(jitter: float = 1.0) -> NodeHealth:
    health = NodeHealth(lambda: jitter)
    health.dial()
    health.recognised()
    return health


def down(now: float = 0.0, jitter: float = 1.0) -> NodeHealth:
    health = alive(jitter)
    health.failed(now, unreachable=True)
    return health


def test_a_node_begins_unknown_and_must_show_who_it_is() -> None:
    health = NodeHealth()
    assert health.state is NodeState.DIALING
    assert not health.connected
    assert alive().connected


def test_only_the_enumerated_edges_exist() -> None:
    allowed = {
        (NodeState.DIALING, NodeState.ALIVE),
        (NodeState.DIALING, NodeState.WRONG_CHAIN),
        (NodeState.DIALING, NodeState.DOWN),
        (NodeState.ALIVE, NodeState.BEHIND),
        (NodeState.ALIVE, NodeState.OUT_OF_SYNC),
        (NodeState.ALIVE, NodeState.DOWN),
        (NodeState.BEHIND, NodeState.ALIVE),
        (NodeState.BEHIND, NodeState.OUT_OF_SYNC),
        (NodeState.BEHIND, NodeState.DOWN),
        (NodeState.OUT_OF_SYNC, NodeState.ALIVE),
        (NodeState.OUT_OF_SYNC, NodeState.BEHIND),
        (NodeState.OUT_OF_SYNC, NodeState.DOWN),
        (NodeState.WRONG_CHAIN, NodeState.DIALING),
        (NodeState.DOWN, NodeState.DIALING),
    }
    for source, target in product(NodeState, NodeState):
        health = NodeHealth()
        health.state = source
        if (source, target) in allowed:
            health._move(target)
        else:
            with pytest.raises(InvariantBroken):
                health._move(target)


def test_one_failure_makes_a_node_second_choice_and_three_open_its_circuit() -> None:
    health = alive()
    health.failed(0.0, unreachable=False)
    assert health.state is NodeState.ALIVE
    assert health.rank(0.1) > alive().rank(0.1)
    assert health.rank(1.0) == alive().rank(1.0)
    health.failed(0.2, unreachable=False)
    health.failed(0.3, unreachable=False)
    assert health.state is NodeState.DOWN
    assert health.wait_s(0.3) > 0


def test_a_node_that_was_overtaken_is_second_choice_for_a_while_even_when_its_answer_comes() -> None:
    health = alive()
    health.overtaken(0.0)
    health.served()
    assert health.rank(1.0) > alive().rank(1.0)
    assert health.rank(LONGEST_PAUSE_S) == alive().rank(LONGEST_PAUSE_S)


def test_an_answer_closes_the_count_of_failures() -> None:
    health = alive()
    for _ in range(10):
        health.failed(0.0, unreachable=False)
        health.failed(0.0, unreachable=False)
        health.served()
    assert health.state is NodeState.ALIVE


def test_a_node_that_cannot_be_reached_is_down_at_once_and_left_alone_for_longer_each_time() -> None:
    health = down()
    waits = []
    now = 0.0
    for _ in range(6):
        waits.append(health.wait_s(now))
        now += waits[-1]
        assert health.wait_s(now) == 0
        health.dial()
        health.failed(now, unreachable=True)
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_waits_are_spread_and_never_longer_than_five_seconds(jitters: list[float]) -> None:
    health = alive()
    for jitter in jitters:
        health._jitter = lambda value=jitter: value
        health.failed(100.0, unreachable=True)
        assert 0 < health.wait_s(100.0) <= LONGEST_PAUSE_S
        health.dial()


def test_failures_that_come_in_after_the_circuit_opened_do_not_lengthen_the_wait() -> None:
    health = down()
    before = health.wait_s(0.0)
    for _ in range(10):
        health.failed(0.0, unreachable=True)
    assert health.wait_s(0.0) == before


def test_a_node_of_another_chain_is_not_asked_and_later_asked_who_it_is() -> None:
    health = NodeHealth()
    health.dial()
    health.refused(10.0)
    assert health.state is NodeState.WRONG_CHAIN
    assert health.wait_s(10.0) == LONGEST_PAUSE_S
    health.failed(11.0, unreachable=True)
    assert health.state is NodeState.WRONG_CHAIN
    health.dial()
    assert health.state is NodeState.DIALING


@pytest.mark.parametrize(
    ("behind", "differs", "state"),
    [(False, False, NodeState.ALIVE), (True, False, NodeState.BEHIND), (True, True, NodeState.OUT_OF_SYNC)],
)
def test_beside_the_others_a_node_is_alive_behind_or_out_of_sync(behind: bool, differs: bool, state: NodeState) -> None:
    health = alive()
    assert health.compare(behind, differs) is (state is not NodeState.ALIVE)
    assert health.state is state
    assert not health.compare(behind, differs), "said once"
    health.compare(behind=False, differs=False)
    assert health.state is NodeState.ALIVE


def test_a_node_that_is_down_stays_down_whatever_its_head_was() -> None:
    health = down()
    assert not health.compare(behind=False, differs=False)
    assert health.state is NodeState.DOWN


def test_a_node_that_is_behind_comes_after_one_that_failed_lately_and_before_one_that_is_down() -> None:
    behind, failed = alive(), alive()
    behind.compare(behind=True, differs=False)
    failed.failed(0.0, unreachable=False)
    assert failed.rank(0.1) < behind.rank(0.1) < down().rank(0.1)
