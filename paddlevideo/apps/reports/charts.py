"""Line charts as SVG without size, font or colour of their own: the page's style has them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

NUM_COLOURS = 6
_WIDTH, _HEIGHT = 420, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 40
_MOST_POINTS = 400
_DOTS_UP_TO = 24


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: in the legend.
        x, y: points; those that are None or not finite are left out.
        style: number of its colour and dashes; the same in every chart of a page.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    style: int = 0

    def points(self) -> list[tuple[float, float]]:
        """The points that can be drawn; of very many, evenly chosen ones."""
        pairs = [
            (float(x), float(y))
            for x, y in zip(self.x, self.y, strict=True)
            if y is not None and math.isfinite(x) and math.isfinite(y)
        ]
        if len(pairs) > _MOST_POINTS:
            positions = np.linspace(0, len(pairs) - 1, _MOST_POINTS).round().astype(int)
            pairs = [pairs[position] for position in positions]
        return pairs

    @property
    def css_class(self) -> str:
        """Of its line and of its legend."""
        dashes = self.style // NUM_COLOURS % 3
        return f"c{self.style % NUM_COLOURS}" + (f" d{dashes}" if dashes else "")


@dataclass(frozen=True)
class Chart:
    """A chart with its legend.

    Attributes:
        title: what it shows.
        svg: the drawing.
        legend: name and CSS class of each line.
    """

    title: str
    svg: Markup
    legend: list[tuple[str, str]]


def line_chart(
    title: str,
    series: Sequence[Series],
    x_title: str,
    y_range: tuple[float, float] | None = None,
    percent: bool = False,
    whole_x: bool = False,
) -> Chart | None:
    """Draw lines; None where no series has a point.

    Args:
        y_range: of the axis; by default from the smallest to the largest value.
        percent: whether values are shares, shown as percent.
        whole_x: whether only whole numbers of x have ticks.
    """
    drawn = [(each, each.points()) for each in series]
    drawn = [(each, points) for each, points in drawn if points]
    if not drawn:
        return None
    xs = [x for _, points in drawn for x, _ in points]
    ys = [y for _, points in drawn for _, y in points]
    x_low, x_high = _widened(min(xs), max(xs))
    y_ticks = ticks(*(y_range or (min(ys), max(ys))), 5)
    y_low, y_high = y_range or (min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys)))
    frame = _Frame(x_low, x_high, *_widened(y_low, y_high))
    x_ticks = [tick for tick in ticks(min(xs), max(xs), 6) if not whole_x or tick == round(tick)]
    parts = [_grid(frame, y_ticks, percent), _x_axis(frame, x_ticks, x_title)]
    parts += [_line(frame, each, points) for each, points in drawn]
    svg = Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" class="chart">{}</svg>'
    ).format(_WIDTH, _HEIGHT, title, Markup("").join(parts))
    return Chart(title, svg, [(each.name, each.css_class) for each, _ in drawn])


def ticks(low: float, high: float, most: int) -> list[float]:
    """About ``most`` round numbers that span ``low`` to ``high``.

    The first is not above ``low`` and the last not below ``high`` where the two differ.
    """
    if not high > low:
        return [low]
    step = _round_step((high - low) / most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= least * (1 - 1e-9))


def _widened(low: float, high: float) -> tuple[float, float]:
    if high > low:
        return low, high
    return low - max(abs(low) * 0.1, 0.5), high + max(abs(high) * 0.1, 0.5)


@dataclass(frozen=True)
class _Frame:
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        share = (value - self.x_low) / (self.x_high - self.x_low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _shown(value: float, percent: bool) -> str:
    return f"{value * 100:.3g} %" if percent else f"{value:.4g}"


def _grid(frame: _Frame, y_ticks: Sequence[float], percent: bool) -> Markup:
    lines = []
    for tick in y_ticks:
        y = frame.y(tick)
        lines.append(
            Markup(
                '<path class="grid" d="M{:.1f} {:.1f}H{:.1f}"/>'
                '<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>'
            ).format(_LEFT, y, _WIDTH - _RIGHT, _LEFT - 6, y + 4, _shown(tick, percent))
        )
    return Markup("").join(lines)


def _x_axis(frame: _Frame, x_ticks: Sequence[float], title: str) -> Markup:
    bottom = _HEIGHT - _BOTTOM
    texts = [
        Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
            frame.x(tick), bottom + 16, _shown(tick, False)
        )
        for tick in x_ticks
        if frame.x_low <= tick <= frame.x_high
    ]
    name = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
        (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, title
    )
    axis = Markup('<path class="axis" d="M{:.1f} {:.1f}H{:.1f}"/>').format(
        _LEFT, bottom, _WIDTH - _RIGHT
    )
    return Markup("").join([axis, *texts, name])


def _line(frame: _Frame, series: Series, points: Sequence[tuple[float, float]]) -> Markup:
    positions = [(frame.x(x), frame.y(y)) for x, y in points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in positions)
    dots = [
        Markup('<circle cx="{:.1f}" cy="{:.1f}" r="2.6"/>').format(x, y)
        for x, y in (positions if len(positions) <= _DOTS_UP_TO else ())
    ]
    return Markup('<g class="line {}"><title>{}</title><path d="{}"/>{}</g>').format(
        series.css_class, escape(series.name), path, Markup("").join(dots)
    )
