"""A Uniswap v3 pool as of one block, and the outcome of swaps in it: to the unit, in integers, without a node.

Amounts are units of the pool's tokens, sqrt prices Q64.96 (see `tick_math`), fees millionths. A swap
that would leave the ticks that were read is refused.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace

from keeper.defi.swap_math import swap_step
from keeper.defi.tick_math import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from keeper.errors import Refused
from keeper.model.refusal import RefusalCode

EVERYWHERE = (MIN_TICK, MAX_TICK)
_ENDLESS = 2**255 - 1
_WORD = 256  # ticks, in spacings, that one word of the pool's bitmap holds


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool's constants. `token0` sorts below `token1`; `fee` in millionths; `spacing` in ticks."""

    address: bytes
    token0: bytes
    token1: bytes
    fee: int
    spacing: int

    def sells_token0(self, token: bytes) -> bool:
        """Whether selling `token` is the direction zero-for-one. Raises Refused when it is not the pool's."""
        if token not in (self.token0, self.token1):
            raise Refused(RefusalCode.UNSUPPORTED, f"0x{token.hex()} is not a token of pool 0x{self.address.hex()}")
        return token == self.token0


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool at one block.

    `ticks`: the initialised ticks between the two of `known`, both included, ascending, and by how much liquidity grows
    when the price rises through each (`liquidityNet`).
    """

    pool: Pool
    sqrt_price: int
    tick: int
    liquidity: int
    ticks: tuple[int, ...]
    nets: tuple[int, ...]
    known: tuple[int, int] = EVERYWHERE


@dataclass(frozen=True, slots=True)
class Swapped:
    """The outcome of a swap. `amount_in` includes `fees`; not `complete` when a price limit ended it early."""

    amount_in: int
    amount_out: int
    fees: int
    complete: bool
    after: PoolState
    outs: tuple[int, ...] = ()


def swap_exact_in(state: PoolState, zero_for_one: bool, amount: int, limit: int = 0) -> Swapped:
    """Sell `amount`, to at most the sqrt price `limit` (0: none), as `UniswapV3Pool.swap` does.

    Raises Refused where the pool reverts, and where the swap leaves the known ticks.
    """
    return _swap(state, zero_for_one, amount, limit)


def swap_exact_out(state: PoolState, zero_for_one: bool, amount: int, limit: int = 0) -> Swapped:
    """Buy `amount`, to at most the sqrt price `limit` (0: none). Raises Refused as `swap_exact_in` does."""
    return _swap(state, zero_for_one, -amount, limit)


def swap_to_price(state: PoolState, sqrt_price: int) -> Swapped:
    """Sell the token, and the amount, that move the pool to a sqrt price. Raises Refused as `swap_exact_in` does."""
    if sqrt_price == state.sqrt_price:
        return Swapped(0, 0, 0, True, state)
    return replace(_swap(state, sqrt_price < state.sqrt_price, _ENDLESS, sqrt_price), complete=True)


@dataclass(slots=True)
class _Run:
    """A swap under way. `remaining`: of the amount specified, as the pool counts it."""

    sqrt_price: int
    tick: int
    liquidity: int
    remaining: int
    other: int = 0
    fees: int = 0
    outs: list[int] = field(default_factory=list)


def _swap(state: PoolState, down: bool, amount: int, limit: int) -> Swapped:
    bound = limit or (MIN_SQRT_PRICE + 1 if down else MAX_SQRT_PRICE - 1)
    if not amount:
        raise Refused(RefusalCode.UNSUPPORTED, "a swap of amount zero")
    if not (MIN_SQRT_PRICE < bound < state.sqrt_price if down else state.sqrt_price < bound < MAX_SQRT_PRICE):
        raise Refused(RefusalCode.UNSUPPORTED, "the pool's price has already passed the swap's price limit")
    run = _Run(state.sqrt_price, state.tick, state.liquidity, amount)
    while run.remaining and run.sqrt_price != bound:
        _advance(state, run, down, bound, amount > 0)
    done = amount - run.remaining
    paid, got = (done, run.other) if amount > 0 else (run.other, -done)
    after = replace(state, sqrt_price=run.sqrt_price, tick=run.tick, liquidity=run.liquidity)
    return Swapped(paid, got, run.fees, not run.remaining, after, tuple(run.outs))


def _advance(state: PoolState, run: _Run, down: bool, bound: int, exact_in: bool) -> None:
    """One turn of the pool's loop: to the next tick that it checks, or as far as the amount reaches."""
    tick, initialised = _next_tick(state, run, down, bound)
    known = state.known[0] <= tick <= state.known[1]
    # Else the nearest tick that could stop it: what does not come so far is the same wherever the next one is.
    ahead = sqrt_price_at_tick(tick if known else state.known[0] - 1 if down else state.known[1] + 1)
    target = max(ahead, bound) if down else min(ahead, bound)
    step = swap_step(run.sqrt_price, target, run.liquidity, run.remaining, state.pool.fee)
    if exact_in:
        run.remaining -= step.amount_in + step.fee
        run.other += step.amount_out
    else:
        run.remaining += step.amount_out
        run.other += step.amount_in + step.fee
    run.fees += step.fee
    run.outs.append(step.amount_out)
    moved, run.sqrt_price = step.sqrt_price != run.sqrt_price, step.sqrt_price
    if step.sqrt_price == ahead:
        if not known:
            raise Refused(
                RefusalCode.UNSUPPORTED,
                f"the swap goes beyond the ticks that were read of pool 0x{state.pool.address.hex()}",
            )
        _cross(state, run, tick, initialised, down)
    elif moved:
        run.tick = tick_at_sqrt_price(step.sqrt_price)


def _cross(state: PoolState, run: _Run, tick: int, initialised: bool, down: bool) -> None:
    if initialised:
        net = state.nets[bisect_left(state.ticks, tick)]
        run.liquidity += -net if down else net
        if run.liquidity < 0:
            raise Refused(
                RefusalCode.UNSUPPORTED,
                f"pool 0x{state.pool.address.hex()} was read with ticks that do not add up to its liquidity",
            )
    run.tick = tick - 1 if down else tick


def _next_tick(state: PoolState, run: _Run, down: bool, bound: int) -> tuple[int, bool]:
    """(tick, whether it is initialised) that the pool looks at next (`TickBitmap.nextInitializedTickWithinOneWord`).

    It stops at the end of a word of its bitmap too, which rounds once more. Where there is no liquidity nothing is
    rounded, and empty words are passed over, as far as the one that `bound` is in: to stop at its end counts as below.
    """
    spacing, size = state.pool.spacing, _WORD * state.pool.spacing
    index = bisect_right(state.ticks, run.tick)
    if down:
        tick = run.tick if run.liquidity else min(run.tick, tick_at_sqrt_price(bound))
        end = max(tick // size * size, MIN_TICK)
        found = state.ticks[index - 1] if index else MIN_TICK - 1
        return (found, True) if found >= end else (end, False)
    last = (run.tick // spacing + 1) // _WORD * size + size - spacing
    end = min(last, MAX_TICK) if run.liquidity else MAX_TICK
    found = state.ticks[index] if index < len(state.ticks) else MAX_TICK + 1
    return (found, True) if found <= end else (end, False)
