"""The panels of `curves` as a picture, drawn by matplotlib."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paddlevideo.apps.reports.charts import NUM_COLOURS, Series
from paddlevideo.utils.figures import DPI, FAINT, FigureText

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from paddlevideo.apps.reports.curves import Panel

# Those of the pages (templates/style.css).
_COLOURS = ("#0072b2", "#d55e00", "#008a67", "#b1478c", "#6b6b6b", "#94740a")
_WIDTH, _ROW_HEIGHT, _TITLE_HEIGHT, _LEGEND_LINE = 1300, 330, 60, 26  # pixels
_TITLE_SIZE, _TEXT_SIZE, _TICK_SIZE = 22, 17, 14
_LONGEST_NAME, _LONGEST_TITLE = 60, 90
_COLUMNS = 2
_DOTS_UP_TO = 24
_RULE = "#dde1e6"


def curve_figure(title: str, panels: "Sequence[Panel]", file_format: str) -> bytes:
    """Draw the panels, two in a row, with the legend of all under them.

    Args:
        file_format: ``png`` or ``svg``.
    """
    from matplotlib.figure import Figure

    legend = {each.name: each for panel in panels for each in panel.series}
    text = FigureText([title, *legend, *(panel.title for panel in panels)])
    rows = -(-len(panels) // _COLUMNS)
    columns = min(_COLUMNS, len(panels))
    height = rows * _ROW_HEIGHT + _TITLE_HEIGHT + _LEGEND_LINE * -(-len(legend) // 2)
    figure = Figure((_WIDTH / DPI, height / DPI), facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    all_axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, panel in zip(all_axes, panels, strict=False):
        _draw(axes, panel, text)
    for axes in all_axes[len(panels) :]:
        axes.set_axis_off()
    figure.suptitle(text.legible(title, _LONGEST_TITLE), **text.style(_TITLE_SIZE))
    lines = [_key(series) for series in legend.values()]
    names = [text.legible(name, _LONGEST_NAME) for name in legend]
    shown = figure.legend(
        lines, names, loc="outside lower center", ncols=min(2, len(names)), frameon=False
    )
    for label in shown.get_texts():
        label.set(**text.style(_TEXT_SIZE))
    file = io.BytesIO()
    metadata = {"Date": None} if file_format == "svg" else {"Software": None}
    figure.savefig(file, format=file_format, dpi=DPI, metadata=metadata)
    return file.getvalue()


def _draw(axes: "Axes", panel: "Panel", text: FigureText) -> None:
    for series in panel.series:
        points = series.points()
        axes.plot(
            *zip(*points, strict=True),
            color=_colour(series),
            linestyle=_dashes(series),
            linewidth=1.6,
            marker="o" if len(points) <= _DOTS_UP_TO else None,
            markersize=4,
        )
    axes.set_title(panel.title, loc="left", **text.style(_TEXT_SIZE))
    axes.set_xlabel("epoch", **text.style(_TICK_SIZE, FAINT))
    axes.tick_params(labelsize=_TICK_SIZE * 72 / DPI, labelcolor=FAINT, color=_RULE)
    axes.grid(axis="y", color=_RULE)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(_RULE)
    if panel.is_share:
        axes.set_ylim(-0.02, 1.02)
        axes.yaxis.set_major_formatter(lambda value, _position: f"{value:.0%}")


def _colour(series: Series) -> str:
    return _COLOURS[series.style % NUM_COLOURS]


def _dashes(series: Series) -> str:
    """As on a page."""
    return ("-", "--", ":")[series.style // NUM_COLOURS % 3]


def _key(series: Series) -> "Line2D":
    from matplotlib.lines import Line2D

    return Line2D([], [], color=_colour(series), linestyle=_dashes(series))
