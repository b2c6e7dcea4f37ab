"""The confusion matrix in a page: SVG for few classes, the picture for many."""

import base64
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from paddlevideo.metrics import ConfusionMatrix
from paddlevideo.metrics.confusion_plot import confusion_png

DRAWN = 24  # classes: more are shown as a picture
_CELL, _LONGEST_NAME = 34, 22
_LETTER = 6.7  # mean width of one in the page's font of 12 pixels; wide scripts need two
_LEAST_TINT = 0.25
_UNREADABLE = "(unreadable)"


def matrix_figure(matrix: ConfusionMatrix, titles: Sequence[str]) -> Markup:
    """The matrix; rows are classes, columns what their videos are taken for."""
    if matrix.num_classes > DRAWN:
        content = base64.b64encode(confusion_png(matrix, titles, with_list=False)).decode()
        return Markup(
            '<img class="matrix" alt="Confusion matrix" src="data:image/png;base64,{}">'
        ).format(content)
    has_unread = bool(matrix.unreadable_N.any())
    names = [_short(title) for title in titles]
    room = _room(names)
    side = matrix.num_classes * _CELL
    width = room + side + (_CELL + 8) * has_unread + 4
    height = side + max(room, _room([_UNREADABLE]) if has_unread else 0)
    parts = [_names(names, room, side)]
    share_NN = matrix.counts_NN / np.maximum(matrix.count_N, 1)[:, None]
    for i, j in np.ndindex(matrix.counts_NN.shape):
        kind = "right" if i == j else "wrong"
        corner = (room + int(j) * _CELL, int(i) * _CELL)
        about = f"{titles[i]} → {titles[j]}"
        parts.append(_cell(corner, int(matrix.counts_NN[i, j]), share_NN[i, j], kind, about))
    if has_unread:
        x = room + side + 8
        for i, count in enumerate(matrix.unreadable_N):
            share = count / max(1, matrix.count_N[i])
            about = f"{titles[i]}: unreadable"
            parts.append(_cell((x, i * _CELL), int(count), share, "unread", about))
        parts.append(_upright(_UNREADABLE, x + _CELL / 2, side))
    return Markup(
        '<svg class="matrix" viewBox="0 0 {} {}" style="width: {}px; min-width: {}px" '
        'role="img" aria-label="Confusion matrix">{}</svg>'
    ).format(width, height, width, width * 3 // 4, Markup("").join(parts))


def _cell(corner: tuple[int, int], count: int, share: float, kind: str, about: str) -> Markup:
    x, y = corner
    size = _CELL - 1
    if not count:
        return Markup('<rect class="none" x="{}" y="{}" width="{}" height="{}"/>').format(
            x, y, size, size
        )
    tint = _LEAST_TINT + (1 - _LEAST_TINT) * float(np.sqrt(share))
    return Markup(
        '<g><title>{}: {} ({:.0%})</title>'
        '<rect class="none" x="{}" y="{}" width="{}" height="{}"/>'
        '<rect class="{}" fill-opacity="{:.2f}" x="{}" y="{}" width="{}" height="{}"/>'
        '<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text></g>'
    ).format(
        about, count, share, x, y, size, size, kind, tint, x, y, size, size,
        "on" if tint > 0.7 else "off", x + size / 2, y + size / 2 + 4.5, count,
    )  # fmt: skip


def _names(names: Sequence[str], room: int, side: int) -> Markup:
    parts = []
    for index, name in enumerate(names):
        middle = index * _CELL + _CELL / 2
        parts.append(
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                room - 8, middle + 4, name
            )
        )
        parts.append(_upright(name, room + middle, side))
    return Markup("").join(parts)


def _room(names: Sequence[str]) -> int:
    """Pixels for the longest name."""
    widest = max(sum(1 if ord(letter) < 0x1100 else 2 for letter in name) for name in names)
    return max(60, int(widest * _LETTER) + 20)


def _upright(text: str, x: float, side: int) -> Markup:
    return Markup(
        '<text transform="translate({:.1f} {}) rotate(-90)" text-anchor="end">{}</text>'
    ).format(x + 4, side + 8, text)


def _short(title: str) -> str:
    text = " ".join(title.split())
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
