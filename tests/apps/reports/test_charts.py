"""Lines, ticks and what cannot be drawn."""

import math
import re

import pytest

from paddlevideo.apps.reports.charts import Series, line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 16, [0, 5, 10, 15, 20]),
        (0.0003, 0.0009, [0.0002, 0.0004, 0.0006, 0.0008, 0.001]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round_and_span_the_values(low, high, expected):
    assert ticks(low, high, 5) == pytest.approx(expected)


def test_a_line_goes_through_its_points():
    chart = line_chart("t", [Series("a", [0, 1, 2], [0.0, 0.5, 1.0])], "x", (0.0, 1.0))
    path = re.search(r'<g class="line c0">.*?d="M([^"]+)"', chart.svg)[1]
    points = [tuple(map(float, point.split())) for point in path.split("L")]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x0 < x1 < x2 and y0 > y1 > y2
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1) and y1 == pytest.approx((y0 + y2) / 2, 0.1)


def test_what_cannot_be_drawn_is_left_out():
    assert line_chart("t", [], "x") is None
    assert line_chart("t", [Series("a", [1], [None]), Series("b", [1], [math.nan])], "x") is None
    chart = line_chart(
        "t", [Series("a", [1, 2, 3], [1.0, None, math.inf]), Series("b", [], [])], "x"
    )
    assert chart.legend == [("a", "c0")] and chart.svg.count("<circle") == 1
    assert "nan" not in chart.svg and "inf" not in chart.svg


def test_many_points_and_many_lines():
    long = Series("a", list(range(100_000)), [float(n % 7) for n in range(100_000)], 13)
    chart = line_chart("t", [long], "x")
    assert len(chart.svg) < 20_000 and chart.legend == [("a", "c1 d2")]


def test_names_are_escaped():
    chart = line_chart('"><b>', [Series("<script>", [0, 1], [0.0, 1.0])], "<x>")
    assert "<b>" not in chart.svg and "<script>" not in chart.svg and "<x>" not in chart.svg
