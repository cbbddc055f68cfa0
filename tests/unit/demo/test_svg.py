"""Plots as SVG: scales, ticks, and what is drawn."""

from xml.etree import ElementTree

import pytest

from keeper.demo.svg import Axis, Plot, plain, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.5, 2.5, [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5]),
        (3.0, 61.0, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]),
        (0.0, 12_345.0, [0.0, 2_000.0, 4_000.0, 6_000.0, 8_000.0, 10_000.0, 12_000.0]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(("value", "expected"), [(0.0, "0"), (100.0, "100"), (1_234.5, "1,234.5"), (0.25, "0.25")])
def test_numbers_have_the_decimals_that_they_need(value: float, expected: str) -> None:
    assert plain(value) == expected


def test_an_axis_without_values_still_has_a_length() -> None:
    low, high = Axis().limits()
    assert high > low


def test_a_gap_in_a_line_is_left_out_and_the_axis_holds_the_rest() -> None:
    plot = Plot(Axis("block"), Axis("health"))
    plot.line([1, 2, 3], [0.5, None, 1.5], "half", "#123456")
    drawn = ElementTree.fromstring(plot.svg())
    [line] = [element for element in drawn.iter() if element.tag.endswith("polyline")]
    assert len(line.attrib["points"].split()) == 2
    assert plot.y.limits()[0] < 0.5
    assert plot.y.limits()[1] > 1.5


def test_names_are_escaped() -> None:
    plot = Plot(Axis("<block>"), Axis())
    plot.dots([(1, 1, 5.0, "a < b")], "<name>", "#123456")
    ElementTree.fromstring(plot.svg())
    assert "&lt;name&gt;" in plot.svg()
