"""Values of a column in float64: what screening multiplies with."""

from fractions import Fraction

from hypothesis import example, given, strategies as st

from keeper.protocols.columns import Int128Column


@given(st.integers(-(2**127), 2**127 - 1))
@example(-1)
@example(-(2**63))
@example(-(2**63) - 1)
@example(-(2**64))
def test_a_float_is_within_one_part_in_two_to_the_52_of_its_exact_value(value: int) -> None:
    column = Int128Column(1)
    column[0] = value
    assert column[0] == value
    assert abs(Fraction(float(column.floats(1)[0])) - value) <= Fraction(abs(value), 2**52)
