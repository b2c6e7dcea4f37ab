"""A picture of a confusion matrix that can be read for 2 to 600 classes.

Up to `NAMED` classes, each row and column has its name; up to `COUNTED`, each cell its count. With
more, the axes count the classes, and a list beside the matrix names the most frequent mistakes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from paddlevideo.metrics.confusion import ConfusionMatrix
from paddlevideo.utils.text_font import TextFont

COUNTED, NAMED = 30, 150

_RIGHT, _WRONG, _UNREAD = (0, 114, 178), (213, 94, 0), (110, 110, 110)
_PAPER, _EMPTY, _INK, _FAINT = (255, 255, 255), (243, 244, 246), (30, 30, 30), (95, 95, 95)
_LEAST_TINT = 0.25  # so that one mistake among many answers is seen
_EDGE, _GAP = 24, 10
_LIST_WIDTH, _LISTED = 620, 30
_MOST_NAME_WIDTH = 260


@dataclass(frozen=True)
class _Layout:
    """Where the matrix is, in pixels."""

    num_classes: int
    cell: int
    left: int
    top: int
    with_unreadable: bool

    @property
    def side(self) -> int:
        """Of the square of cells."""
        return self.num_classes * self.cell

    @property
    def unreadable_left(self) -> int:
        """Of the column of samples that could not be read."""
        return self.left + self.side + max(4, self.cell // 4)

    @property
    def right(self) -> int:
        """Of everything in a row."""
        if not self.with_unreadable:
            return self.left + self.side
        return self.unreadable_left + max(self.cell, 6)


def draw_confusion(
    matrix: ConfusionMatrix, titles: Sequence[str], with_list: bool = True
) -> Image.Image:
    """Draw the matrix; a row is a class, a column what its samples are taken for.

    The tint is the share of the row: right answers blue, mistakes orange, unreadable samples grey.

    Args:
        titles: names of all classes.
        with_list: name the most frequent mistakes beside a matrix without names.
    """
    num_classes = matrix.num_classes
    cell = _cell_size(num_classes)
    is_named = num_classes <= NAMED
    names = [" ".join(title.split()) for title in titles]
    font = TextFont(max(11, min(18, cell - 3)) if is_named else 18, tuple(names))
    names = [font.shortened(font.legible(name), _MOST_NAME_WIDTH) for name in names]
    names_width = max(map(font.width, names)) if is_named else font.width("000")
    layout = _Layout(
        num_classes=num_classes,
        cell=cell,
        left=_EDGE + font.line_height + _GAP + names_width + _GAP,
        top=_EDGE + 2 * font.line_height + _GAP,
        with_unreadable=bool(matrix.unreadable_N.any()),
    )
    below = (names_width if is_named else font.line_height) + font.line_height + 3 * _GAP
    legend = TextFont(16)
    width = max(layout.right + _EDGE, _EDGE * 2 + legend.width(_explanation(matrix)))
    height = layout.top + layout.side + below + _EDGE
    with_list = with_list and not is_named
    if with_list:
        width = layout.right + 3 * _EDGE + _LIST_WIDTH
        height = max(height, layout.top + (_LISTED + 2) * 2 * font.line_height)
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((_EDGE, _EDGE), _explanation(matrix), _INK, legend.pillow)
    _draw_cells(image, matrix, layout)
    _draw_axes(image, layout, names if is_named else None, font)
    if num_classes <= COUNTED:
        _draw_counts(draw, matrix, layout)
    if with_list:
        _draw_list(draw, matrix, titles, layout)
    return image


def _cell_size(num_classes: int) -> int:
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


def _draw_cells(image: Image.Image, matrix: ConfusionMatrix, layout: _Layout) -> None:
    """One pixel a cell, enlarged; lines of paper between large cells."""
    count_N1 = np.maximum(matrix.count_N, 1)[:, None]
    tint_NN = _tint(matrix.counts_NN / count_N1)
    colour_NN3 = np.where(np.eye(layout.num_classes, dtype=bool)[..., None], _RIGHT, _WRONG)
    _paste(image, tint_NN, colour_NN3, layout, layout.left)
    if layout.with_unreadable:
        tint_N1 = _tint(matrix.unreadable_N[:, None] / count_N1)
        colour_N13 = np.full((layout.num_classes, 1, 3), _UNREAD)
        _paste(image, tint_N1, colour_N13, layout, layout.unreadable_left)


def _tint(share: np.ndarray) -> np.ndarray:
    return np.where(share > 0, _LEAST_TINT + (1 - _LEAST_TINT) * np.sqrt(share), 0.0)


def _paste(
    image: Image.Image, tint: np.ndarray, colour: np.ndarray, layout: _Layout, left: int
) -> None:
    mixed = np.array(_EMPTY) * (1 - tint[..., None]) + colour * tint[..., None]
    cells = Image.fromarray(mixed.round().astype(np.uint8))
    width = layout.cell * tint.shape[1] if tint.shape[1] > 1 else max(layout.cell, 6)
    image.paste(cells.resize((width, layout.side), Image.Resampling.NEAREST), (left, layout.top))
    if layout.cell < 12:
        return
    draw = ImageDraw.Draw(image)
    for position in range(1, layout.num_classes):
        y = layout.top + position * layout.cell
        draw.line((left, y, left + width - 1, y), _PAPER)
    for position in range(1, tint.shape[1]):
        x = left + position * layout.cell
        draw.line((x, layout.top, x, layout.top + layout.side - 1), _PAPER)


def _draw_counts(draw: ImageDraw.ImageDraw, matrix: ConfusionMatrix, layout: _Layout) -> None:
    middle = layout.cell / 2
    share_NN = matrix.counts_NN / np.maximum(matrix.count_N, 1)[:, None]
    most = max(int(matrix.counts_NN.max()), int(matrix.unreadable_N.max()))
    font = TextFont(max(9, min(20, int(layout.cell * 1.3 / max(2, len(str(most)))))))
    for i, j in np.argwhere(matrix.counts_NN):
        position = (layout.left + j * layout.cell + middle, layout.top + i * layout.cell + middle)
        ink = _PAPER if _tint(share_NN[i, j]) > 0.7 else _INK
        draw.text(position, str(matrix.counts_NN[i, j]), ink, font.pillow, anchor="mm")
    for i in np.flatnonzero(matrix.unreadable_N):
        position = (layout.unreadable_left + middle, layout.top + i * layout.cell + middle)
        draw.text(position, str(matrix.unreadable_N[i]), _INK, font.pillow, anchor="mm")


def _draw_axes(
    image: Image.Image, layout: _Layout, names: Sequence[str] | None, font: TextFont
) -> None:
    draw = ImageDraw.Draw(image)
    bottom = layout.top + layout.side
    if names is None:
        step = 50 if layout.num_classes > 200 else 25
        marks = [(position, str(position)) for position in range(0, layout.num_classes, step)]
    else:
        marks = list(enumerate(names))
    for position, text in marks:
        middle = (position + 0.5) * layout.cell
        draw.text((layout.left - _GAP, layout.top + middle), text, _INK, font.pillow, anchor="rm")
        if names is None:
            draw.text((layout.left + middle, bottom + _GAP), text, _INK, font.pillow, anchor="ma")
        else:
            centre = layout.left + middle
            _draw_upright(image, text, font, centre, bottom + _GAP)
    if layout.with_unreadable and names is not None:
        centre = layout.unreadable_left + layout.cell / 2
        text = font.shortened("(unreadable)", image.height - bottom - 2 * _GAP)
        _draw_upright(image, text, font, centre, bottom + _GAP, _FAINT)
    centre = layout.left + layout.side / 2
    draw.text((centre, image.height - 8), "taken for", _FAINT, font.pillow, anchor="md")
    title = Image.new("RGB", (font.width("class of the video"), font.line_height), _PAPER)
    ImageDraw.Draw(title).text((0, 0), "class of the video", _FAINT, font.pillow)
    turned = title.rotate(90, expand=True)
    image.paste(turned, (_EDGE - 8, max(0, int(layout.top + layout.side / 2 - turned.height / 2))))


def _draw_upright(
    image: Image.Image,
    text: str,
    font: TextFont,
    centre: float,
    top: int,
    ink: tuple[int, int, int] = _INK,
) -> None:
    """Write from the bottom to the top, ending at ``top``."""
    label = Image.new("RGB", (max(1, font.width(text)), font.line_height), _PAPER)
    ImageDraw.Draw(label).text((0, 0), text, ink, font.pillow)
    turned = label.rotate(90, expand=True)
    image.paste(turned, (round(centre - turned.width / 2), top))


def _draw_list(
    draw: ImageDraw.ImageDraw, matrix: ConfusionMatrix, titles: Sequence[str], layout: _Layout
) -> None:
    """The most frequent mistakes in words, at the right of the matrix."""
    pairs = matrix.confusions(_LISTED)
    shown = [f"{titles[pair.label]} → {titles[pair.predicted]}" for pair in pairs]
    font, small = TextFont(20, tuple(shown)), TextFont(17)
    left, y = layout.right + 2 * _EDGE, layout.top
    heading = "The most frequent mistakes" if pairs else "No mistakes"
    draw.text((left, y), heading, _INK, TextFont(24).pillow)
    y += 2 * font.line_height
    for pair, text in zip(pairs, shown, strict=True):
        line = font.shortened(font.legible(" ".join(text.split())), _LIST_WIDTH)
        draw.text((left, y), line, _INK, font.pillow)
        detail = f"{pair.count} ({pair.share:.0%}); row {pair.label}, column {pair.predicted}"
        draw.text((left, y + font.line_height), detail, _FAINT, small.pillow)
        y += font.line_height + small.line_height + 8
