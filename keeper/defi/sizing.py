"""Searches over integer sizes: the smallest and the largest that meet a condition, and the one that is worth most."""

from collections.abc import Callable

_GOLDEN = 0.6180339887498949


def smallest(holds: Callable[[int], bool], guess: int | None, last: int) -> int | None:
    """The smallest of 1..last for which a condition holds that, once true, stays true; None when there is none.

    A good guess costs two evaluations, a bad one twice the logarithm of its distance, none the logarithm of `last`.
    """
    low, high = 0, last + 1  # does not hold at low, taken to hold at high
    if guess is not None:
        low, high = _around(holds, max(1, min(guess, last)), last)
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high if high <= last else None


def _around(holds: Callable[[int], bool], guess: int, last: int) -> tuple[int, int]:
    """Two sizes near the guess with the smallest between them: it does not hold at the first and does at the second."""
    low, high, stride = 0, last + 1, 1
    if holds(guess):
        high = guess
        while high - stride > 0 and holds(high - stride):
            high -= stride
            stride *= 2
        low = max(0, high - stride)
    else:
        low = guess
        while low + stride <= last and not holds(low + stride):
            low += stride
            stride *= 2
        high = min(last + 1, low + stride)
    return low, high


def largest(holds: Callable[[int], bool], last: int) -> int:
    """The largest of 0..last for which a condition holds that, once false, stays false. It is taken to hold at 0."""
    if last <= 0 or holds(last):
        return max(last, 0)
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def peak(value: Callable[[int], int | None], last: int, parts: int = 1_024) -> int:
    """The size of 1..last that is worth most, to about a part of `last`: in 2 evaluations when that is `last`, else 20.

    `value` rises and then falls, as proceeds less costs do when a pool's price moves with the size; None where a size
    is impossible, with all larger ones.
    """
    scores: dict[int, int | None] = {}

    def better(one: int, other: int) -> bool:
        for size in (one, other):
            if size not in scores:
                scores[size] = value(size)
        first, second = scores[one], scores[other]
        return first is not None and (second is None or first > second)

    if last <= 1 or better(last, last - (last // parts or 1)):
        return last
    low, high = 0, last
    left, right = _inner(low, high)
    while high - low > max(last // parts, 3):
        if better(right, left):
            low, left = left, right
            right = max(_inner(low, high)[1], left + 1)
        else:
            high, right = right, left
            left = min(_inner(low, high)[0], right - 1)
    known = [(score, -size) for size, score in scores.items() if score is not None]
    return -max(known)[1] if known else 1


def _inner(low: int, high: int) -> tuple[int, int]:
    """The two points that divide an interval by the golden section."""
    part = int((high - low) * _GOLDEN)
    return high - part, low + part
