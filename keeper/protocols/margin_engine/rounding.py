"""Fixed-point arithmetic in 1e18, rounded as `contracts/src/libraries/Wad.sol` and Solidity's `/` round."""

from keeper.model.health import WAD


def mul_down(a: int, b: int) -> int:
    """a * b / 1e18 of two unsigned numbers, towards zero."""
    return a * b // WAD


def mul_up(a: int, b: int) -> int:
    """a * b / 1e18 of two unsigned numbers, away from zero."""
    return -(-a * b // WAD)


def mul_floor(a: int, b: int) -> int:
    """a * b / 1e18, towards minus infinity."""
    return a * b // WAD


def mul_ceil(a: int, b: int) -> int:
    """a * b / 1e18, towards plus infinity."""
    return -(-a * b // WAD)


def div_up(a: int, b: int) -> int:
    """a / b of two unsigned numbers, away from zero."""
    return -(-a // b)


def div_trunc(a: int, b: int) -> int:
    """a / b as Solidity divides signed numbers: towards zero."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient
