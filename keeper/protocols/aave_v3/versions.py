"""Which versions of the pool are known, and how they round."""

from collections.abc import Callable
from dataclasses import dataclass

from keeper.defi import fixed_point as fp


@dataclass(frozen=True, slots=True)
class Version:
    """One version's rules, where they differ. `modern`: 3.6's, else 3.0.2's."""

    name: str
    modern: bool
    balance_bits: int  # of a scaled balance in `_userState`
    supply_units: Callable[[int, int], int]  # scaled supply and index to units
    debt_units: Callable[[int, int], int]
    supply_burnt: Callable[[int, int], int]  # units and index to the scaled supply that a burn takes
    supply_moved: Callable[[int, int], int]
    debt_burnt: Callable[[int, int], int]
    flash_premium: Callable[[int, int], int]  # units and bps to the premium

    @property
    def stable(self) -> bool:
        """Whether it has debts at a stable rate."""
        return not self.modern


V3_0_2 = Version("3.0.2", False, 128, fp.ray_mul, fp.ray_mul, fp.ray_div, fp.ray_div, fp.ray_div, fp.percent_mul)
V3_6 = Version(
    "3.6",
    True,
    120,
    fp.ray_mul_floor,
    fp.ray_mul_ceil,
    fp.ray_div_ceil,
    fp.ray_div_ceil,
    fp.ray_div_floor,
    fp.percent_mul_ceil,
)
# By the pool's POOL_REVISION.
VERSIONS = {1: V3_0_2, 10: V3_6}
