"""Deadlines of calls: the second after which a transaction reverts instead of doing late what was planned earlier."""

import inspect
from functools import cache
from typing import Any

from keeper.model.chain import Call
from keeper.model.plan import Opportunity
from keeper.protocols.base import NEVER, Protocol, Snapshot

__all__ = ["NEVER", "deadline_of", "encode_until"]

_LEAST_S = 120  # a node that lags, a slot without a block
_SLOW = 4  # times the usual distance of blocks


def deadline_of(head_s: int, next_s: int, blocks: int) -> int:
    """The deadline (unix seconds) of a call planned on a block of time `head_s` and cancelled `blocks` blocks later.

    next_s: when the next block is expected. Blocks may take four times as long, and two minutes more.
    """
    return head_s + _LEAST_S + _SLOW * blocks * max(next_s - head_s, 1)


def encode_until(
    protocol: Protocol, snapshot: Snapshot, opportunity: Opportunity, floor_wad: int, deadline: int
) -> Call:
    """The adapter's call with a deadline, or without one where its `encode` takes none."""
    if _takes_deadline(type(protocol)):
        return protocol.encode(snapshot, opportunity, floor_wad, deadline=deadline)
    return protocol.encode(snapshot, opportunity, floor_wad)


@cache
def _takes_deadline(adapter: type[Any]) -> bool:
    """Whether the class's `encode` has the keyword, or takes any."""
    parameters = inspect.signature(adapter.encode).parameters
    return "deadline" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
