"""Interest at any time: what an index has grown to (Aave's MathUtils.sol and ReserveLogic.sol). Ray unless said."""

from keeper.defi.fixed_point import RAY, ray_mul
from keeper.protocols.aave_v3.versions import Version

YEAR = 365 * 86_400  # seconds


def linear(rate: int, seconds: int) -> int:
    return RAY + rate * seconds // YEAR


def compounded(version: Version, rate: int, seconds: int) -> int:
    """What one unit has grown to: three terms of a binomial, or from 3.6 on of the exponential."""
    if seconds == 0:
        return RAY
    if version.modern:
        x = rate * seconds // YEAR
        return RAY + x + ray_mul(x, x // 2 + ray_mul(x, x // 6))
    squared = ray_mul(rate, rate) // (YEAR * YEAR)
    cubed = ray_mul(squared, rate) // YEAR
    second = seconds * (seconds - 1) * squared // 2
    third = seconds * (seconds - 1) * max(seconds - 2, 0) * cubed // 6
    return RAY + rate * seconds // YEAR + second + third
