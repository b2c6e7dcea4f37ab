"""A picture of a stream: its best classes over time, and frames under the axis."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from paddlevideo.apps.visualization.picture_text import PALETTE, TextFont, class_name
from paddlevideo.apps.visualization.stream_history import StreamHistory
from paddlevideo.apps.visualization.timeline_axes import spread, time_ticks
from paddlevideo.runtime.class_scores import ClassScore, best_classes

# Sizes are those of the picture; it is drawn twice as large and reduced, which smooths the lines.
_SCALE = 2
_WIDTH, _CURVES_HEIGHT = 1400, 380
_TOP, _LEFT, _EDGE = 84, 76, 20
_THUMBNAIL_HEIGHT, _MOST_THUMBNAILS = 150, 10
_TEXT_SIZE, _TITLE_SIZE = 19, 24
_LABEL_WIDTH = (110, 330)  # least and most room for the names at the right
_MOST_TICKS = 10
_DOTS_UP_TO = 60  # bins: each gets a dot

_INK, _FAINT, _GRID, _PAPER = (30, 30, 30), (105, 105, 105), (224, 224, 224), (255, 255, 255)


@dataclass(frozen=True)
class _Frame:
    """Where the curves are, in pixels of the large drawing."""

    left: int
    top: int
    width: int
    height: int
    duration: float
    is_moment: bool  # one frame has no duration, but a place: the middle

    def x(self, seconds: float) -> float:
        """Of a time."""
        share = 0.5 if self.is_moment else seconds / self.duration
        return self.left + self.width * share

    def y(self, probability: float) -> float:
        """Of a probability."""
        return self.top + self.height * (1 - probability)


def draw_timeline(
    history: StreamHistory, labels: Sequence[str] | None, title: str, num_classes: int = 5
) -> Image.Image:
    """Draw the classes of the highest mean probability over time, and frames at even times.

    Args:
        history: of at least one step.
        labels: of all classes, where they are known.
        title: the source's name.
        num_classes: that are drawn, at most.
    """
    shown = best_classes(history.mean_N, labels, min(num_classes, len(PALETTE)))
    names = [class_name(item) for item in shown]
    font = TextFont(_TEXT_SIZE * _SCALE, (*names, title))
    names = [font.shortened(font.legible(name), _LABEL_WIDTH[1] * _SCALE) for name in names]
    last = [float(history.curves(item.index)[0][-1]) for item in shown]
    texts = [f"{name}  {share:.0%}" for name, share in zip(names, last, strict=True)]
    room = max(_LABEL_WIDTH[0] * _SCALE, *(font.width(text) for text in texts))
    frame = _Frame(
        left=_LEFT * _SCALE,
        top=_TOP * _SCALE,
        width=(_WIDTH - _LEFT - 2 * _EDGE - 30) * _SCALE - room,
        height=_CURVES_HEIGHT * _SCALE,
        duration=float(history.times[-1]),
        is_moment=len(history.times) == 1,
    )
    thumbnails, height = _thumbnails(history, frame)
    image = Image.new("RGB", (_WIDTH * _SCALE, height), _PAPER)
    _draw_axes(image, frame, font)
    _draw_curves(image, frame, history, shown)
    _draw_labels(image, frame, font, texts, last)
    for place, thumbnail in thumbnails:
        image.paste(thumbnail, place)
    large = TextFont(_TITLE_SIZE * _SCALE, (*names, title))
    _draw_title(image, frame, large, title, font, _explanation(history, len(shown)))
    return image.resize((_WIDTH, height // _SCALE), Image.Resampling.LANCZOS)


def _explanation(history: StreamHistory, num_classes: int) -> str:
    if num_classes == 1:
        text = "Probability of the class with the highest mean"
    else:
        text = f"Probability of the {num_classes} classes with the highest mean"
    if history.steps_a_bin > 1:
        seconds = history.times[-1] / (len(history.times) - 1)
        text += f"; lines: mean over {seconds:.2g} s, tint: smallest to largest"
    return text


def _draw_title(
    image: Image.Image,
    frame: _Frame,
    large: TextFont,
    title: str,
    font: TextFont,
    explanation: str,
) -> None:
    draw = ImageDraw.Draw(image)
    room = image.width - frame.left - _EDGE * _SCALE
    title = large.shortened(large.legible(title), room)
    draw.text((frame.left, 14 * _SCALE), title, _INK, large.pillow)
    draw.text((frame.left, 46 * _SCALE), explanation, _FAINT, font.pillow)


def _draw_axes(image: Image.Image, frame: _Frame, font: TextFont) -> None:
    draw = ImageDraw.Draw(image)
    right = frame.left + frame.width
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = frame.y(share)
        draw.line((frame.left, y, right, y), _GRID if share else _INK, _SCALE)
        draw.text((frame.left - 10 * _SCALE, y), f"{share:.0%}", _FAINT, font.pillow, anchor="rm")
    ticks, unit = ([(0.0, "0")], "seconds")
    if not frame.is_moment:
        ticks, unit = time_ticks(frame.duration, _MOST_TICKS)
    bottom = frame.y(0)
    for seconds, text in ticks:
        x = frame.x(seconds)
        draw.line((x, bottom, x, bottom + 6 * _SCALE), _INK, _SCALE)
        draw.text((x, bottom + 10 * _SCALE), text, _FAINT, font.pillow, anchor="ma")
    draw.text((right + 30 * _SCALE, bottom + 10 * _SCALE), unit, _FAINT, font.pillow)


def _draw_curves(
    image: Image.Image, frame: _Frame, history: StreamHistory, shown: Sequence[ClassScore]
) -> None:
    x = [frame.x(seconds) for seconds in history.times]
    curves = [history.curves(item.index) for item in shown]
    if history.steps_a_bin > 1:
        for colour, (_, least, most) in zip(PALETTE, curves, strict=False):
            outline = [
                *zip(x, map(frame.y, least.tolist()), strict=True),
                *zip(reversed(x), map(frame.y, reversed(most.tolist())), strict=True),
            ]
            tint = Image.new("L", image.size, 0)
            ImageDraw.Draw(tint).polygon(outline, fill=48)
            image.paste(colour, mask=tint)
    draw = ImageDraw.Draw(image)
    # The best class is drawn last, upon the others.
    for colour, (mean, _, _) in reversed(list(zip(PALETTE, curves, strict=False))):
        points = [(each, frame.y(value)) for each, value in zip(x, mean.tolist(), strict=True)]
        if len(points) > 1:
            draw.line(points, colour, 3 * _SCALE, joint="curve")
        if len(points) <= _DOTS_UP_TO:
            for point in points:
                _draw_dot(draw, point, colour)


def _draw_dot(
    draw: ImageDraw.ImageDraw, point: tuple[float, float], colour: tuple[int, int, int]
) -> None:
    radius = 4 * _SCALE
    x, y = point
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def _draw_labels(
    image: Image.Image, frame: _Frame, font: TextFont, texts: Sequence[str], last: Sequence[float]
) -> None:
    """Each name beside the end of its curve, in its colour."""
    draw = ImageDraw.Draw(image)
    wanted = [frame.y(value) for value in last]
    half = font.line_height / 2
    heights = spread(wanted, font.line_height * 1.05, frame.top + half, frame.y(0) - half)
    right = frame.left + frame.width
    for colour, text, y_end, y in zip(PALETTE, texts, wanted, heights, strict=False):
        if frame.is_moment:
            draw.line((frame.x(0), y_end, right + 6 * _SCALE, y_end), colour, _SCALE)
        draw.line((right + 6 * _SCALE, y_end, right + 24 * _SCALE, y), colour, _SCALE)
        draw.text((right + 30 * _SCALE, y), text, colour, font.pillow, anchor="lm")


def _thumbnails(
    history: StreamHistory, frame: _Frame
) -> tuple[list[tuple[tuple[int, int], Image.Image]], int]:
    """Frames of even times, where each belongs, and the height of the whole picture."""
    wanted_width = _THUMBNAIL_HEIGHT * _SCALE * min(max(history.thumbnail_aspect, 0.5), 2.0)
    number = min(
        max(1, round(frame.width / wanted_width)), _MOST_THUMBNAILS, history.num_thumbnails
    )
    room = frame.width / number
    times = (np.arange(number) + 0.5) * frame.duration / number
    top = round(frame.y(0)) + (18 + 2 * _TEXT_SIZE) * _SCALE
    placed, lowest = [], 0
    for centre, item in zip(times, history.thumbnails_at(times), strict=True):
        height, width = item.rgb.shape[:2]
        zoom = min((room - 6 * _SCALE) / width, _THUMBNAIL_HEIGHT * _SCALE / height)
        size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
        picture = Image.fromarray(item.rgb).resize(size, Image.Resampling.BICUBIC)
        placed.append(((round(frame.x(centre) - size[0] / 2), top), picture))
        lowest = max(lowest, size[1])
    height = top + lowest + _EDGE * _SCALE
    return placed, height + height % _SCALE
