"""A plot of a stream: its best classes over time, and frames under the axis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.apps.visualization.overlay import class_name
from paddlevideo.apps.visualization.stream_history import StreamHistory
from paddlevideo.runtime.class_scores import ClassScore, best_classes
from paddlevideo.utils.figures import DPI, FAINT, FigureText, png_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito, "Color Universal Design" (2008): distinct whatever one's colour vision. Their
# yellow and sky blue are too light for lines and text on white.
PALETTE = ("#0072b2", "#d55e00", "#008a67", "#be5a96", "#464646")

_WIDTH, _CURVES_HEIGHT, _FRAMES_HEIGHT, _TEXTS_HEIGHT = 1400, 380, 150, 120  # pixels
_MOST_FRAMES = 10
_FRAMES_WIDTH = 1150  # about: what names at the right leave
_TEXT_SIZE, _TITLE_SIZE = 19, 24
_LONGEST_NAME, _LONGEST_TITLE = 32, 90
_LINE = 0.062  # height of a line of text, as a share of the axis
_DOTS_UP_TO = 60  # bins: each gets a dot
# The longest stream whose axis counts that unit, seconds.
_UNITS = ((600.0, 1, "seconds"), (3 * 3600.0, 60, "minutes"), (float("inf"), 3600, "hours"))


def timeline_png(
    history: StreamHistory, labels: Sequence[str] | None, title: str, num_classes: int = 5
) -> bytes:
    """Draw the classes of the highest mean probability over time, and frames at even times.

    Args:
        history: of at least one step.
        labels: of all classes, where they are known.
        title: the source's name.
        num_classes: that are drawn, at most.

    Returns:
        A PNG file.
    """
    from matplotlib.figure import Figure

    shown = best_classes(history.mean_N, labels, min(num_classes, len(PALETTE)))
    text = FigureText([title, *map(class_name, shown)])
    number = _num_frames(history)
    frames_height = min(_FRAMES_HEIGHT, _FRAMES_WIDTH / number / history.thumbnail_aspect)
    height = _CURVES_HEIGHT + frames_height + _TEXTS_HEIGHT
    figure = Figure((_WIDTH / DPI, height / DPI), facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.16, h_pad=0.12)
    axes, strip = figure.subplots(2, 1, height_ratios=[_CURVES_HEIGHT, frames_height])
    _draw_axes(axes, history, text)
    _draw_curves(axes, history, shown)
    _draw_names(axes, history, shown, text)
    axes.set_title(
        text.legible(title, _LONGEST_TITLE), loc="left", pad=32, **text.style(_TITLE_SIZE)
    )
    axes.annotate(
        _explanation(history, len(shown)), (0, 1), (0, 10), xycoords="axes fraction",
        textcoords="offset points", **text.style(_TEXT_SIZE, FAINT),
    )  # fmt: skip
    _draw_frames(strip, history, number)
    return png_of(figure)


def _num_frames(history: StreamHistory) -> int:
    """As many frames side by side as there is room for."""
    width = _FRAMES_HEIGHT * min(max(history.thumbnail_aspect, 0.5), 2.0)
    return min(max(1, round(_FRAMES_WIDTH / width)), _MOST_FRAMES, history.num_thumbnails)


def _draw_frames(strip: "Axes", history: StreamHistory, number: int) -> None:
    """Frames of even times, each under its own."""
    strip.set_axis_off()
    times = (np.arange(number) + 0.5) * float(history.times[-1]) / number
    for position, item in enumerate(history.thumbnails_at(times)):
        frame = strip.inset_axes(((position + 0.01) / number, 0, 0.98 / number, 1))
        frame.imshow(item.rgb)
        frame.set_anchor("N")
        frame.set_axis_off()


def _explanation(history: StreamHistory, num_classes: int) -> str:
    if num_classes == 1:
        text = "Probability of the class with the highest mean"
    else:
        text = f"Probability of the {num_classes} classes with the highest mean"
    if history.steps_a_bin > 1:
        seconds = history.times[-1] / (len(history.times) - 1)
        text += f"; lines: mean over {seconds:.2g} s, tint: smallest to largest"
    return text


def unit_of(history: StreamHistory) -> tuple[int, str]:
    """Seconds of the unit that the axis counts, and its name."""
    return next((size, name) for longest, size, name in _UNITS if history.times[-1] <= longest)


def _draw_axes(axes: "Axes", history: StreamHistory, text: FigureText) -> None:
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    axes.set_ylim(0, 1)
    axes.set_yticks(shares, [f"{share:.0%}" for share in shares], **text.style(_TEXT_SIZE, FAINT))
    size, name = unit_of(history)
    if len(history.times) > 1:
        axes.set_xlim(0, history.times[-1] / size)
        axes.locator_params(axis="x", nbins=10, steps=[1, 2, 5, 10])
    else:  # one frame has no duration, but a position: the middle
        axes.set_xlim(-1, 1)
        axes.set_xticks([0])
    axes.tick_params(axis="x", length=6, labelsize=_TEXT_SIZE * 72 / DPI, labelcolor=FAINT)
    axes.tick_params(axis="y", length=0, pad=10)
    axes.annotate(
        name, (1, 0), (26, -7), xycoords="axes fraction", textcoords="offset points", va="top",
        **text.style(_TEXT_SIZE, FAINT),
    )  # fmt: skip
    axes.grid(axis="y", color="#e0e0e0")
    axes.set_axisbelow(True)
    axes.spines[["left", "right", "top"]].set_visible(False)


def _draw_curves(axes: "Axes", history: StreamHistory, shown: Sequence[ClassScore]) -> None:
    times = history.times / unit_of(history)[0]
    marker = "o" if len(times) <= _DOTS_UP_TO else ""
    for rank, item in enumerate(shown):
        mean, least, most = history.curves(item.index)
        order = 10 - rank  # the best class upon the others
        colour = PALETTE[rank]
        axes.plot(times, mean, colour, marker=marker, linewidth=2.2, markersize=6,
                  clip_on=False, zorder=order)  # fmt: skip
        if history.steps_a_bin > 1:
            axes.fill_between(times, least, most, color=colour, alpha=0.19, linewidth=0,
                              clip_on=False, zorder=2)  # fmt: skip


def _draw_names(
    axes: "Axes", history: StreamHistory, shown: Sequence[ClassScore], text: FigureText
) -> None:
    """Each name beside the end of its curve, in its colour: labels of a second axis."""
    ends = [float(history.curves(item.index)[0][-1]) for item in shown]
    heights = spread(ends, _LINE, _LINE / 2, 1 - _LINE / 2)
    names = axes.secondary_yaxis("right")
    names.spines["right"].set_visible(False)
    names.tick_params(length=0, pad=26)
    names.set_yticks(heights, [
        f"{text.legible(class_name(item), _LONGEST_NAME)}  {end:.0%}"
        for item, end in zip(shown, ends, strict=True)
    ], **text.style(_TEXT_SIZE))  # fmt: skip
    start = 1.0 if len(history.times) > 1 else 0.5
    for label, colour, end, height in zip(
        names.get_yticklabels(), PALETTE, ends, heights, strict=False
    ):
        label.set_color(colour)
        axes.plot(
            [start, 1.006, 1.022], [end, end, height], color=colour, linewidth=1,
            transform=axes.transAxes, clip_on=False,
        )  # fmt: skip


def spread(wanted: Sequence[float], gap: float, least: float, most: float) -> list[float]:
    """Positions as near to ``wanted`` as a ``gap`` between each two and the bounds allow.

    The order is kept. Where the bounds have no room for all, the gap gives way.
    """
    gap = min(gap, (most - least) / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda n: (wanted[n], n))
    placed = [min(max(wanted[n], least), most) for n in order]
    for n in range(1, len(placed)):
        placed[n] = max(placed[n], placed[n - 1] + gap)
    placed[-1] = min(placed[-1], most)
    for n in range(len(placed) - 2, -1, -1):
        placed[n] = min(placed[n], placed[n + 1] - gap)
    return [position for _, position in sorted(zip(order, placed, strict=True))]
