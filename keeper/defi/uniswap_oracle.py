"""A Uniswap v3 pool's ring of observations, and mean prices over time from it, as `UniswapV3Pool.observe` and its users
compute them. Times are seconds, below 2^32.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from keeper.defi.fixed_point import truncated_div
from keeper.defi.proxies import bits, signed_bits
from keeper.errors import Refused
from keeper.model.refusal import RefusalCode

FIRST_SLOT = 8  # of the pool's storage: an observation a slot


@dataclass(frozen=True, slots=True)
class Observation:
    """What ticks added up to, second by second, from the pool's start to `timestamp`."""

    timestamp: int
    tick_cumulative: int
    initialised: bool = True


@dataclass(frozen=True, slots=True)
class Ring:
    """`observations` by place; those that were not read are missing. `index`: of the newest. `tick`: the pool's now."""

    observations: Mapping[int, Observation]
    index: int
    cardinality: int
    tick: int


def observation_of(word: int) -> Observation:
    """From its storage slot."""
    return Observation(bits(word, 0, 32), signed_bits(word, 32, 56), bool(bits(word, 248, 8)))


def tick_cumulative(ring: Ring, at: int) -> int:
    """What `observe` would return for the time `at`, which is not after the block's own.

    Raises Refused where the contract reverts with "OLD", and where the observations that it takes were not read.
    """
    newest = _observation(ring, ring.index)
    if newest.timestamp <= at:
        return newest.tick_cumulative + ring.tick * (at - newest.timestamp)
    before, after = _around(ring, at)
    if before.timestamp == at:
        return before.tick_cumulative
    rate = truncated_div(after.tick_cumulative - before.tick_cumulative, after.timestamp - before.timestamp)
    return before.tick_cumulative + rate * (at - before.timestamp)


def mean_tick(ring: Ring, now: int, seconds: int, *, floored: bool = True) -> int:
    """The arithmetic mean of ticks over the `seconds` up to `now`.

    `floored`: to minus infinity as `OracleLibrary.consult`; else to zero, as Curie's `UniswapV3Broker`. Raises Refused
    as `tick_cumulative` does.
    """
    change = tick_cumulative(ring, now) - tick_cumulative(ring, now - seconds)
    return change // seconds if floored else truncated_div(change, seconds)


def _around(ring: Ring, at: int) -> tuple[Observation, Observation]:
    """The neighbours with `at` between them, by bisection from the oldest to the newest."""
    low = _oldest(ring)
    if _observation(ring, low).timestamp > at:
        raise Refused(RefusalCode.UNPRICED, "the Uniswap pool's observations do not go back far enough (OLD)")
    high = low + (ring.index - low) % ring.cardinality
    while high - low > 1:
        middle = (low + high) // 2
        if _observation(ring, middle % ring.cardinality).timestamp <= at:
            low = middle
        else:
            high = middle
    return _observation(ring, low % ring.cardinality), _observation(ring, high % ring.cardinality)


def _oldest(ring: Ring) -> int:
    """The place after the newest, once the ring was filled; else the first."""
    following = (ring.index + 1) % ring.cardinality
    return following if _observation(ring, following).initialised else 0


def _observation(ring: Ring, place: int) -> Observation:
    if place not in ring.observations:
        raise Refused(RefusalCode.UNSUPPORTED, f"observation {place} of a Uniswap pool was not read")
    return ring.observations[place]
