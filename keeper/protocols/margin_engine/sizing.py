"""The smallest liquidation that restores a target health, clipped to the engine's rules, in integers.

While something of the position is left, slack against a target, `equity - target * requirement`, rises with the size
closed: each unit frees at least the lowest maintenance rate, of which governance may take at most half as penalty.
So the smallest size is found from a closed form, one or two exact simulations away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from keeper.defi.sizing import smallest
from keeper.model.health import WAD
from keeper.protocols.margin_engine.health import rules_of
from keeper.protocols.margin_engine.rounding import div_up, mul_down, mul_up
from keeper.protocols.margin_engine.simulate import Closing, ClosingOutcome, EngineLiquidation


@dataclass(frozen=True, slots=True)
class Sized:
    """A legal size and its outcome. `limit`: "target", or the rule that clipped the size."""

    outcome: EngineLiquidation
    limit: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """The engine's rules for one position. Sizes are counted in steps; `full` closes all of it."""

    held: int
    step: int
    price: int
    min_notional: int
    available: int  # dollars of notional left under the block's cap
    deep: bool  # equity below half the requirement

    @property
    def small(self) -> bool:
        """Too small to be halved: it may be closed whole, whatever the health after."""
        return mul_up(self.held, self.price) < 2 * self.min_notional or self.held < 2 * self.step

    @property
    def full(self) -> int:
        """Steps that close everything."""
        return div_up(self.held, self.step)

    def size(self, steps: int) -> int:
        return min(steps * self.step, self.held)

    @property
    def full_allowed(self) -> bool:
        return (self.deep or self.small) and mul_up(self.held, self.price) <= self.available

    def most_partial(self) -> tuple[int, str]:
        """(most steps that leave a legal rest, the rule that bounds them); 0 when there are none."""
        least_left = (self.min_notional - 1) * WAD // self.price + 1 if self.min_notional else 0
        limits = {
            "close_factor": self.held if self.deep or self.small else self.held // 2,
            "dust": self.held - least_left,
            "block_cap": self.available * WAD // self.price,
            "full": self.held - 1,
        }
        rule = min(limits, key=lambda name: limits[name])
        return max(0, limits[rule]) // self.step, rule


def choose(closing: Closing, target_wad: int, available: int | None = None) -> Sized | None:
    """The liquidation of one position of a liquidatable account, None when no size is legal.

    target_wad: health to restore, 1e18 is the threshold. available: notional left under the block's cap, in 1e18
    dollars; the whole cap when None.
    """
    rules = rules_of(closing.market)
    bounds = Bounds(
        held=abs(closing.position.size),
        step=rules.step,
        price=closing.price,
        min_notional=rules.min_notional,
        available=rules.block_cap if available is None else min(rules.block_cap, available),
        deep=closing.equity * 2 < closing.requirement,
    )

    @cache
    def outcome(steps: int) -> ClosingOutcome:
        return closing.outcome(bounds.size(steps))

    def restores(steps: int) -> bool:
        after = outcome(steps)
        return after.equity * WAD >= after.requirement * target_wad

    def beyond(steps: int) -> bool:
        after = outcome(steps)
        forced = (bounds.small and after.size == bounds.held) or after.size == bounds.step
        return not forced and after.equity * WAD > after.judged * closing.state.max_post_health

    guess = _closed_form(closing, bounds, target_wad)
    needed = smallest(restores, guess, bounds.full)
    steps, limit = _clip(bounds, needed, beyond)
    return Sized(closing.settle(outcome(steps)), limit) if steps else None


def _clip(bounds: Bounds, needed: int | None, beyond: Callable[[int], bool]) -> tuple[int, str]:
    """(legal steps, the limit that decided) for the steps needed; 0 when nothing is legal."""
    most, rule = bounds.most_partial()
    if needed is None or needed > most:
        if bounds.full_allowed and not beyond(bounds.full):
            return bounds.full, "target" if needed == bounds.full else "full"
        steps, limit = most, rule
    else:
        steps, limit = needed, "target"
    if steps and beyond(steps):
        first = smallest(beyond, steps, steps)
        return (first or steps) - 1, "post_health"
    return steps, limit


def _closed_form(closing: Closing, bounds: Bounds, target: int) -> int:
    """Steps to close, from the remaining notional that meets the target within its own bracket.

    With N the notional, y what is left of it, phi the penalty, r and c the bracket's rate and offset, H the target
    and M the requirement of the other markets: equity - phi (N - y) = H (M + r y - c).
    """
    notional = mul_up(bounds.held, bounds.price)
    penalty = rules_of(closing.market).penalty
    top = notional
    for tier in reversed(closing.market.brackets):
        if tier.floor > notional:
            continue
        net_rate = mul_down(target, tier.rate) - penalty
        room = closing.equity - mul_up(penalty, notional) + target * (tier.offset - closing.other_requirement) // WAD
        left = room * WAD // net_rate if net_rate > 0 else -1
        if left >= tier.floor:
            return div_up((notional - min(left, top)) * WAD, bounds.price * bounds.step)
        top = tier.floor
    return bounds.full
