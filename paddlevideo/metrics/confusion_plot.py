"""A plot of a confusion matrix that can be read for 2 to 600 classes.

Up to `NAMED` classes, each row and column has its name; up to `COUNTED`, each cell its count. With
more, the axes count the classes, and a list beside the matrix names the most frequent mistakes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.metrics.confusion import ConfusionMatrix
from paddlevideo.utils.figures import DPI, FAINT, INK, FigureText, png_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COUNTED, NAMED = 30, 150

_RIGHT, _WRONG, _UNREAD, _EMPTY = (0, 114, 178), (213, 94, 0), (110, 110, 110), (243, 244, 246)
_LEAST_TINT = 0.25  # so that one mistake among many answers is seen
_TEXT_SIZE, _LISTED, _LONGEST_NAME, _LONGEST_LINE = 17, 30, 30, 64
_GAP = 0.3  # of a cell, before the column of samples that could not be read


def confusion_png(matrix: ConfusionMatrix, titles: Sequence[str], with_list: bool = True) -> bytes:
    """Draw the matrix; a row is a class, a column what its samples are taken for.

    The tint is the share of the row: right answers blue, mistakes orange, unreadable samples grey.

    Args:
        titles: names of all classes.
        with_list: name the most frequent mistakes beside a matrix without names.

    Returns:
        A PNG file.
    """
    from matplotlib.figure import Figure

    num_classes = matrix.num_classes
    is_named = num_classes <= NAMED
    cell, right = _cell_size(num_classes), float(num_classes)
    if matrix.unreadable_N.any():
        right = num_classes + _GAP + max(1, 6 / cell)
    # The axes have the size of the cells; the texts lie outside, and the figure grows with them.
    figure = Figure((right * cell / DPI, num_classes * cell / DPI), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_frame_on(False)
    text = FigureText([*titles, "→"])
    _draw_cells(axes, matrix, right, with_lines=is_named)
    _draw_axes(axes, text, titles if is_named else [], max(11, min(_TEXT_SIZE, cell - 3)))
    if right > num_classes and is_named:
        at, size = (num_classes + _GAP + right) / 2, max(11, min(_TEXT_SIZE, cell - 3))
        axes.annotate("(unreadable)", (at, num_classes), (0, -7), textcoords="offset points",
                      rotation=90, ha="center", va="top", **text.style(size, FAINT))  # fmt: skip
    if num_classes <= COUNTED:
        _draw_counts(axes, matrix, right)
    axes.annotate(_explanation(matrix), (0, 1), (0, 12), xycoords="axes fraction",
                  textcoords="offset points", **text.style(_TEXT_SIZE))  # fmt: skip
    if with_list and not is_named:
        _draw_list(axes, matrix, titles, text)
    axes.set(xlim=(0, right), ylim=(num_classes, 0), aspect="auto")
    return png_of(figure, "tight")


def _cell_size(num_classes: int) -> int:
    """Pixels."""
    if num_classes <= COUNTED:
        return max(30, min(72, 800 // num_classes))
    if num_classes <= NAMED:
        return max(15, 1000 // num_classes)
    return max(2, 1800 // num_classes)


def _explanation(matrix: ConfusionMatrix) -> str:
    total, right = int(matrix.count_N.sum()), int(np.trace(matrix.counts_NN))
    unread = int(matrix.unreadable_N.sum())
    text = f"{right} of {total} right (blue), mistakes orange; tint: share of the row"
    return f"{text}; {unread} unreadable (grey)" if unread else text


def _tint(share: np.ndarray) -> np.ndarray:
    return np.where(share > 0, _LEAST_TINT + (1 - _LEAST_TINT) * np.sqrt(share), 0.0)


def _draw_cells(axes: "Axes", matrix: ConfusionMatrix, right: float, with_lines: bool) -> None:
    num_classes = matrix.num_classes
    count_N1 = np.maximum(matrix.count_N, 1)[:, None]
    colour_NN3 = np.where(np.eye(num_classes, dtype=bool)[..., None], _RIGHT, _WRONG)
    _draw_block(axes, matrix.counts_NN / count_N1, colour_NN3, 0, num_classes)
    if right > num_classes:
        share_N1 = matrix.unreadable_N[:, None] / count_N1
        _draw_block(axes, share_N1, np.array(_UNREAD), num_classes + _GAP, right)
    if with_lines:
        lines = np.arange(num_classes + 1)
        axes.hlines(lines, 0, right, "white", linewidth=0.8)
        axes.vlines(lines, 0, num_classes, "white", linewidth=0.8)


def _draw_block(
    axes: "Axes", share: np.ndarray, colour: np.ndarray, left: float, right: float
) -> None:
    tint = _tint(share)[..., None]
    mixed = (np.array(_EMPTY) * (1 - tint) + colour * tint).round().astype(np.uint8)
    axes.imshow(mixed, extent=(left, right, len(share), 0), interpolation="nearest")


def _draw_counts(axes: "Axes", matrix: ConfusionMatrix, right: float) -> None:
    share_NN = matrix.counts_NN / np.maximum(matrix.count_N, 1)[:, None]
    most = max(int(matrix.counts_NN.max()), int(matrix.unreadable_N.max()))
    cell = _cell_size(matrix.num_classes)
    size = max(9, min(20, cell * 1.3 / max(2, len(str(most))))) * 72 / DPI
    for i, j in np.argwhere(matrix.counts_NN):
        ink = "white" if _tint(share_NN[i, j]) > 0.7 else INK
        axes.text(j + 0.5, i + 0.5, str(matrix.counts_NN[i, j]), color=ink, fontsize=size,
                  ha="center", va="center")  # fmt: skip
    for i in np.flatnonzero(matrix.unreadable_N):
        axes.text((matrix.num_classes + _GAP + right) / 2, i + 0.5, str(matrix.unreadable_N[i]),
                  color=INK, fontsize=size, ha="center", va="center")  # fmt: skip


def _draw_axes(axes: "Axes", text: FigureText, titles: Sequence[str], size: int) -> None:
    """Names, or without them the classes' numbers."""
    axes.tick_params(length=0, pad=7, labelsize=_TEXT_SIZE * 72 / DPI)
    if titles:
        names = [text.legible(title, _LONGEST_NAME) for title in titles]
        centres = np.arange(len(titles)) + 0.5
        axes.set_yticks(centres, names, **text.style(size))
        axes.set_xticks(centres, names, rotation=90, **text.style(size))
    axes.set_xlabel("taken for", labelpad=10, **text.style(_TEXT_SIZE, FAINT))
    axes.set_ylabel("class of the video", labelpad=10, **text.style(_TEXT_SIZE, FAINT))


def _draw_list(
    axes: "Axes", matrix: ConfusionMatrix, titles: Sequence[str], text: FigureText
) -> None:
    """The most frequent mistakes in words, at the right of the matrix."""
    pairs = matrix.confusions(_LISTED)
    lines = [("The most frequent mistakes" if pairs else "No mistakes", text.style(24))]
    for pair in pairs:
        name = f"{titles[pair.label]} → {titles[pair.predicted]}"
        detail = f"{pair.count} ({pair.share:.0%}); row {pair.label}, column {pair.predicted}"
        lines += [
            (text.legible(name, _LONGEST_LINE), text.style(20)),
            (detail, text.style(_TEXT_SIZE, FAINT)),
        ]
    y = 0.0
    for line, style in lines:
        axes.annotate(line, (1, 1), (48, y), xycoords="axes fraction", va="top",
                      textcoords="offset points", **style)  # fmt: skip
        y -= 1.4 * style["fontsize"] + (8 if style["color"] == FAINT else 0)
