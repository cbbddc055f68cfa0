"""Searches over sizes find what looking at every size would."""

from hypothesis import given, strategies as st

from keeper.defi.sizing import largest, peak, smallest

LAST = 10**24
SIZES = st.integers(1, LAST)


@given(SIZES, SIZES, SIZES)
def test_the_smallest_that_does_is_found_from_any_guess(bound: int, guess: int, last: int) -> None:
    assert smallest(lambda size: size >= bound, guess, last) == (bound if bound <= last else None)


@given(st.integers(0, LAST), st.integers(-5, LAST))
def test_the_largest_that_may_be_is_found(bound: int, last: int) -> None:
    assert largest(lambda size: size <= bound, last) == max(min(bound, last), 0)


@given(st.integers(1, 2**200), st.integers(1, 2**200), st.integers(0, 2**200) | st.none())
def test_the_size_that_is_worth_most_is_found(top: int, last: int, possible: int | None) -> None:
    asked = []

    def value(size: int) -> int | None:
        assert 1 <= size <= last
        asked.append(size)
        return None if possible is not None and size > possible else -((size - top) ** 2)

    found = peak(value, last)
    wanted = max(1, min(top, last, last if possible is None else possible))
    assert abs(found - wanted) <= last // 1_024 + 3
    assert len(set(asked)) <= 24


@given(st.integers(1, 3_000), st.integers(1, 3_000))
def test_in_small_ranges_nothing_beats_it_by_much(top: int, last: int) -> None:
    found = peak(lambda size: -abs(size - top), last, parts=last)
    assert abs(found - min(top, last)) <= 3


def test_what_is_never_possible_is_the_least() -> None:
    assert peak(lambda size: None, 10**9) == 1
    assert peak(lambda size: size, 1) == 1
