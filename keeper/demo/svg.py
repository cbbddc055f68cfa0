"""Draws plots as SVG: lines, bars, dots, bands and rules on one or two axes. The page colours text and grid."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH = 1_000
LEFT, RIGHT, TOP, BOTTOM = 84, 64, 30, 44
TICKS = 7  # about so many on each axis
CHARACTER = 7.2  # width of one in a legend

Number = float | int
Format = Callable[[float], str]
Scale = Callable[[float], float]  # from a value to pixels
Draw = Callable[[Scale, Scale], str]


def plain(value: float) -> str:
    """A number with as many decimals as it needs, two at most."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`."""
    step = 10.0 ** math.floor(math.log10((high - low) / TICKS))
    step *= next((factor for factor in (1, 2, 5) if (high - low) / (step * factor) <= TICKS), 10)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass(slots=True)
class Axis:
    """A scale. Without limits it holds what is drawn on it; `zero`: and the zero, too."""

    title: str = ""
    text: Format = plain
    low: float | None = None
    high: float | None = None
    zero: bool = False
    values: list[float] = field(default_factory=list)

    def limits(self) -> tuple[float, float]:
        values = [*self.values, *([0.0] if self.zero or not self.values else [])]
        low = min(values) if self.low is None else self.low
        high = max(values) if self.high is None else self.high
        if high <= low:
            return low, low + 1.0
        pad = (high - low) * 0.05
        floor = low if self.low is not None or (self.zero and low == 0) else low - pad
        return floor, high if self.high is not None else high + pad


@dataclass(slots=True)
class Plot:
    """One plot. Draw first what lies below; `second`: an axis on the right, for lines that name it."""

    x: Axis
    y: Axis
    height: int = 300
    second: Axis | None = None
    _marks: list[tuple[Axis, Draw]] = field(default_factory=list)
    _legend: list[tuple[str, str, str]] = field(default_factory=list)  # name, colour, dash

    def line(self, xs: Sequence[Number], ys: Sequence[Number | None], name: str, colour: str, style: str = "") -> None:
        """Points joined, with gaps at None. `style`: "dotted", "filled" (down to zero), "second" (the axis)."""
        points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True) if y is not None]
        axis = self._axis(style)
        self._count(axis, points)
        dash = " stroke-dasharray='3 4'" if style == "dotted" else ""
        self._legend.append((name, colour, dash))

        def draw(across: Scale, up: Scale) -> str:
            path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
            drawn = f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'{dash}/>"
            if style == "filled" and points:
                ends = f"{across(points[-1][0]):.1f},{up(0):.1f} {across(points[0][0]):.1f},{up(0):.1f}"
                drawn += f"<polygon points='{path} {ends}' fill='{colour}' opacity='0.3'/>"
            return drawn

        self._marks.append((axis, draw))

    def bars(self, xs: Sequence[Number], ys: Sequence[Number], name: str, colour: str, width: float = 0.85) -> None:
        """A bar for each x, `width` of x wide."""
        points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
        self._count(self.y, points)
        self._legend.append((name, colour, ""))

        def draw(across: Scale, up: Scale) -> str:
            wide = across(width) - across(0)
            return "".join(
                f"<rect x='{across(x) - wide / 2:.1f}' y='{up(y):.1f}' width='{wide:.1f}' height='{up(0) - up(y):.1f}' "
                f"fill='{colour}' opacity='0.7'><title>{plain(x)}: {escape(self.y.text(y))}</title></rect>"
                for x, y in points
                if y
            )

        self._marks.append((self.y, draw))

    def dots(self, dots: Sequence[tuple[Number, Number, float, str]], name: str, colour: str) -> None:
        """(x, y, diameter in pixels, what the pointer shows). In the legend when it has a name."""
        self._count(self.y, [(float(x), float(y)) for x, y, _, _ in dots])
        if name:
            self._legend.append((name, colour, ""))

        def draw(across: Scale, up: Scale) -> str:
            return "".join(
                f"<circle cx='{across(x):.1f}' cy='{up(y):.1f}' r='{size / 2:.1f}' fill='{colour}' opacity='0.55'>"
                f"<title>{escape(text)}</title></circle>"
                for x, y, size, text in dots
            )

        self._marks.append((self.y, draw))

    def band(self, first: float, last: float, colour: str, opacity: float) -> None:
        """Shades a part of the x axis from top to bottom."""

        def draw(across: Scale, _: Scale) -> str:
            left, right = across(first), across(last)
            place = f"x='{left:.1f}' y='{TOP}' width='{right - left:.1f}' height='{self._inner}'"
            return f"<rect {place} fill='{colour}' opacity='{opacity}'/>"

        self._marks.append((self.y, draw))

    def rule(self, colour: str, x: float | None = None, y: float | None = None, text: str = "") -> None:
        """A dotted line through the whole plot at an x or a y, with words at its right end."""

        def draw(across: Scale, up: Scale) -> str:
            style = f"stroke='{colour}' stroke-width='1.5' stroke-dasharray='2 4'"
            if x is not None:
                return f"<line x1='{across(x):.1f}' x2='{across(x):.1f}' y1='{TOP}' y2='{TOP + self._inner}' {style}/>"
            at = up(y or 0.0)
            label = f"<text x='{WIDTH - RIGHT - 6}' y='{at - 5:.1f}' text-anchor='end'>{escape(text)}</text>"
            return f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{at:.1f}' y2='{at:.1f}' {style}/>{label}"

        self._marks.append((self.y, draw))

    def svg(self) -> str:
        """The plot, as wide as the page lets it."""
        low, high = self.x.limits()
        across = _scale(low, high, LEFT, WIDTH - RIGHT)
        ups = {id(axis): self._up(axis) for axis in (self.y, self.second) if axis}
        marks = "".join(draw(across, ups[id(axis)]) for axis, draw in self._marks)
        return (
            f"<svg class='plot' viewBox='0 0 {WIDTH} {self.height}' role='img'>{self._grid(across)}"
            f"<svg x='{LEFT}' y='{TOP}' width='{WIDTH - LEFT - RIGHT}' height='{self._inner}' "
            f"viewBox='{LEFT} {TOP} {WIDTH - LEFT - RIGHT} {self._inner}'>{marks}</svg>{self._names()}</svg>"
        )

    @property
    def _inner(self) -> int:
        return self.height - TOP - BOTTOM

    def _axis(self, style: str) -> Axis:
        return self.second if style == "second" and self.second else self.y

    def _count(self, axis: Axis, points: Sequence[tuple[float, float]]) -> None:
        self.x.values += [x for x, _ in points]
        axis.values += [y for _, y in points]

    def _up(self, axis: Axis) -> Scale:
        low, high = axis.limits()
        return _scale(low, high, TOP + self._inner, TOP)

    def _grid(self, across: Scale) -> str:
        right, bottom = WIDTH - RIGHT, TOP + self._inner
        parts = [
            f"<line class='grid' x1='{across(x):.1f}' x2='{across(x):.1f}' y1='{TOP}' y2='{bottom}'/>"
            f"<text x='{across(x):.1f}' y='{bottom + 18}' text-anchor='middle'>{escape(self.x.text(x))}</text>"
            for x in ticks(*self.x.limits())
        ]
        for axis, at, anchor in ((self.y, LEFT - 8, "end"), (self.second, right + 8, "start")):
            if axis is None:
                continue
            up = self._up(axis)
            for y in ticks(*axis.limits()):
                if axis is self.y:
                    parts.append(f"<line class='grid' x1='{LEFT}' x2='{right}' y1='{up(y):.1f}' y2='{up(y):.1f}'/>")
                label = escape(axis.text(y))
                parts.append(f"<text x='{at}' y='{up(y) + 4:.1f}' text-anchor='{anchor}'>{label}</text>")
        return "".join(parts)

    def _names(self) -> str:
        """Titles of the axes, and the legend above the plot."""
        middle, bottom = TOP + self._inner / 2, self.height - 6
        parts = [
            f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{bottom}' text-anchor='middle'>{escape(self.x.title)}</text>",
            f"<text transform='translate(14 {middle}) rotate(-90)' text-anchor='middle'>{escape(self.y.title)}</text>",
        ]
        if self.second:
            turned = f"translate({WIDTH - 8} {middle}) rotate(-90)"
            parts.append(f"<text transform='{turned}' text-anchor='middle'>{escape(self.second.title)}</text>")
        at = float(LEFT)
        for name, colour, dash in self._legend:
            line = f"x1='{at:.0f}' x2='{at + 22:.0f}' y1='14' y2='14' stroke='{colour}' stroke-width='3'{dash}"
            parts.append(f"<line {line}/><text x='{at + 28:.0f}' y='18'>{escape(name)}</text>")
            at += 28 + CHARACTER * len(name) + 24
        return "".join(parts)


def _scale(low: float, high: float, first: float, last: float) -> Scale:
    return lambda value: first + (value - low) / (high - low) * (last - first)
