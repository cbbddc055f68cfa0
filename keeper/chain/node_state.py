"""The state machine of one node. Pure: time is an argument, waits are results.

A node that was down or on another chain must show its chain id again before it serves reads.
"""

import random
from collections.abc import Callable
from enum import StrEnum

from keeper.errors import InvariantBroken

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
_MOST_FAILURES = 3  # in a row, after which the circuit opens
_LEAST_JITTER = 0.5

Random = Callable[[], float]  # from 0 to 1


class NodeState(StrEnum):
    """States of a node."""

    DIALING = "dialing"  # its chain is not known yet
    ALIVE = "alive"
    BEHIND = "behind"  # its head is too far below the newest one
    OUT_OF_SYNC = "out_of_sync"  # it has other blocks than the other nodes
    WRONG_CHAIN = "wrong_chain"
    DOWN = "down"  # the circuit is open


_EDGES: dict[NodeState, frozenset[NodeState]] = {
    NodeState.DIALING: frozenset({NodeState.ALIVE, NodeState.WRONG_CHAIN, NodeState.DOWN}),
    NodeState.ALIVE: frozenset({NodeState.BEHIND, NodeState.OUT_OF_SYNC, NodeState.DOWN}),
    NodeState.BEHIND: frozenset({NodeState.ALIVE, NodeState.OUT_OF_SYNC, NodeState.DOWN}),
    NodeState.OUT_OF_SYNC: frozenset({NodeState.ALIVE, NodeState.BEHIND, NodeState.DOWN}),
    NodeState.WRONG_CHAIN: frozenset({NodeState.DIALING}),
    NodeState.DOWN: frozenset({NodeState.DIALING}),
}
_CONNECTED = frozenset({NodeState.ALIVE, NodeState.BEHIND, NodeState.OUT_OF_SYNC})


class NodeHealth:
    """One node's state, its circuit breaker and its newest block."""

    def __init__(self, jitter: Random = random.random) -> None:
        self.state = NodeState.DIALING
        self.head = -1  # number of its newest block
        self.failures = 0  # in a row
        self._jitter = jitter
        self._pause_s = 0.0
        self._asked_again_at = 0.0
        self._last_until = 0.0
        self._slow_until = 0.0

    @property
    def connected(self) -> bool:
        """Its chain is right, and the circuit is closed."""
        return self.state in _CONNECTED

    def wait_s(self, now: float) -> float:
        """Seconds until it may be dialled again; 0 when it may be asked now."""
        closed = self.connected or self.state is NodeState.DIALING
        return 0.0 if closed else max(self._asked_again_at - now, 0.0)

    def rank(self, now: float) -> tuple[int, bool]:
        """Lower is asked earlier: healthy ones, then those that failed or were slow lately, then all others."""
        if self.state is NodeState.ALIVE:
            return 0, max(self._last_until, self._slow_until) > now
        return (1 if self.connected else 2), self.wait_s(now) > 0

    # Events.

    def dial(self) -> None:
        """Its chain is about to be checked."""
        if self.state is not NodeState.DIALING:
            self._move(NodeState.DIALING)

    def recognised(self) -> None:
        """It serves the right chain."""
        self._move(NodeState.ALIVE)

    def refused(self, now: float) -> None:
        """It serves another chain."""
        self._move(NodeState.WRONG_CHAIN)
        self._asked_again_at = now + LONGEST_PAUSE_S

    def served(self) -> None:
        """It returned a usable answer."""
        self.failures, self._pause_s, self._last_until = 0, 0.0, 0.0

    def overtaken(self, now: float) -> None:
        """A node that was asked later answered first."""
        self._slow_until = now + LONGEST_PAUSE_S

    def failed(self, now: float, unreachable: bool) -> None:
        """It returned no usable answer. The circuit opens after three in a row, at once when it is unreachable."""
        if self.state in (NodeState.DOWN, NodeState.WRONG_CHAIN):
            return  # a request from before the circuit opened
        self.failures += 1
        self._last_until = now + min(FIRST_PAUSE_S * 2 ** (self.failures - 1), LONGEST_PAUSE_S)
        if self.connected and self.failures < _MOST_FAILURES and not unreachable:
            return
        self._move(NodeState.DOWN)
        self._pause_s = min(max(self._pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._asked_again_at = now + self._pause_s * (_LEAST_JITTER + (1 - _LEAST_JITTER) * self._jitter())

    def compare(self, behind: bool, differs: bool) -> bool:
        """Set the state after a comparison with the other nodes. Returns whether it changed."""
        if not self.connected:
            return False
        state = NodeState.OUT_OF_SYNC if differs else NodeState.BEHIND if behind else NodeState.ALIVE
        if state is self.state:
            return False
        self._move(state)
        return True

    def _move(self, state: NodeState) -> None:
        if state not in _EDGES[self.state]:
            raise InvariantBroken(f"a node cannot go from {self.state} to {state}")
        self.state = state
