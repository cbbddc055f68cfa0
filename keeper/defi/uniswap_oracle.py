"""A Uniswap v3 pool's ring of observations, and mean prices over time from it, as `UniswapV3Pool.observe` and its users
compute them. Times are seconds, below 2^32.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from keeper.defi.fixed_point import mul_div, truncated_div
from keeper.defi.proxies import bits, signed_bits
from keeper.defi.tick_math import sqrt_price_at_tick
from keeper.errors import Refused
from keeper.model.refusal import RefusalCode

FIRST_SLOT = 8  # of the pool's storage: an observation a slot
MOST_OBSERVATIONS = 65_535


@dataclass(frozen=True, slots=True)
class Observation:
    """What ticks added up to, second by second, from the pool's start to `timestamp`."""

    timestamp: int
    tick_cumulative: int
    initialised: bool = True


_PREPARED = Observation(1, 0, False)  # a place that was paid for and not used yet


@dataclass(frozen=True, slots=True)
class Ring:
    """`observations` by place; those that were not read are missing. `index`: of the newest. `tick`: the pool's now.

    `growing`: what `cardinality` becomes when the newest is at its end (`observationCardinalityNext`).
    """

    observations: Mapping[int, Observation]
    index: int
    cardinality: int
    tick: int
    growing: int = 0


def observation_of(word: int) -> Observation:
    """From its storage slot."""
    return Observation(bits(word, 0, 32), signed_bits(word, 32, 56), bool(bits(word, 248, 8)))


def observation_slots(cardinality: int) -> range:
    """Storage slots of the whole ring."""
    return range(FIRST_SLOT, FIRST_SLOT + cardinality)


def ring_of(slot0: int, observations: Mapping[int, int]) -> Ring:
    """From the pool's storage slot 0, and the slots' words by place in the ring."""
    found = {place: observation_of(word) for place, word in observations.items()}
    index, cardinality, growing = (bits(slot0, offset, 16) for offset in (184, 200, 216))
    return Ring(found, index, cardinality, signed_bits(slot0, 160, 24), growing)


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


def quote_at_tick(tick: int, base_amount: int, base_is_token0: bool) -> int:
    """Units of the other token for `base_amount` at a tick's price (`OracleLibrary.getQuoteAtTick`)."""
    root = sqrt_price_at_tick(tick)
    if root < 2**128:
        price, one = root * root, 2**192
    else:
        price, one = mul_div(root, root, 2**64), 2**128
    return mul_div(price, base_amount, one) if base_is_token0 else mul_div(one, base_amount, price)


def written(ring: Ring, now: int, tick: int) -> Ring:
    """The ring after a swap at `now` left the pool at `tick`: it writes when its tick changes, once a block."""
    newest = _observation(ring, ring.index)
    if tick == ring.tick or newest.timestamp == now:
        return replace(ring, tick=tick)
    grows = ring.growing > ring.cardinality and ring.index == ring.cardinality - 1
    cardinality = ring.growing if grows else ring.cardinality
    index = (ring.index + 1) % cardinality
    observations = dict(ring.observations) | dict.fromkeys(range(ring.cardinality, cardinality), _PREPARED)
    observations[index] = Observation(now, newest.tick_cumulative + ring.tick * (now - newest.timestamp))
    return replace(ring, observations=observations, index=index, cardinality=cardinality, tick=tick)


def _around(ring: Ring, at: int) -> tuple[Observation, Observation]:
    """The neighbours with `at` between them, by bisection from the oldest to the newest."""
    low = _oldest(ring)
    if _observation(ring, low).timestamp > at:
        raise Refused(RefusalCode.UNPRICED, "OLD: the pool's observations do not reach back so far")
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
        raise Refused(RefusalCode.UNSUPPORTED, f"observation {place} of a pool was not read")
    return ring.observations[place]
