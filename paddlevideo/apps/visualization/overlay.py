"""`Overlay`: the best classes with bars, drawn on the frames of a stream."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from paddlevideo.runtime.class_scores import ClassScore
from paddlevideo.utils.text_font import TextFont

_SMALLEST_WIDTH = 160  # of the picture, pixels: five rows of text need that
_LARGEST_ZOOM = 16  # of a frame smaller than that
_TEXT_SIZE = 0.032  # of the frame's short side
_SMALLEST_TEXT = 12  # pixels
_LARGEST_AREA, _LARGEST_HEIGHT = 0.3, 0.45  # of a panel upon the frame; a larger one goes beneath
_OPACITY = 0.78
_NEW_SECONDS = 1.0  # for which a new leader is marked

_GROUND, _BAR, _LEADER_BAR, _NEW_BAR = (18, 18, 18), (72, 84, 96), (0, 114, 178), (213, 94, 0)
_TEXT, _FAINT_TEXT = (255, 255, 255), (205, 205, 205)


@dataclass(frozen=True)
class _Layout:
    """Where things are, pixels. Fixed by the first frame.

    ``picture``, ``panel``: (left, top, width, height) on the canvas.
    """

    canvas: tuple[int, int]
    picture: tuple[int, int, int, int]
    panel: tuple[int, int, int, int]
    text_size: int
    is_beneath: bool


class Overlay:
    """Draws a panel of the best classes on every frame, all of one size.

    The panel lies half transparent in the frame's lower left corner; on a small frame, of which
    it would hide too much, beneath it. Frames that are not as wide as the text needs are enlarged
    by a whole number. Width and height of what is drawn are even, as H.264 wants them. The best
    class has a bar of another colour, a new best class for 1 s one of a third, and a mark.

    Args:
        frame_size: (width, height) of the first frame; later ones of another size are fitted in.
        num_classes: rows of the panel.
        labels: all that may be written, to choose a font that has the characters.
    """

    def __init__(
        self, frame_size: tuple[int, int], num_classes: int, labels: Sequence[str] = ()
    ) -> None:
        self._layout = _layout(frame_size, num_classes)
        self._font = TextFont(self._layout.text_size, tuple(labels))
        self._panel_HWC: np.ndarray | None = None
        self._drawn: tuple[object, ...] = ()
        self._leader: int | None = None
        self._leads_since: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of what is drawn, both even."""
        return self._layout.canvas

    def draw(
        self, frame_HWC: np.ndarray, top: Sequence[ClassScore], time_seconds: float
    ) -> np.ndarray:
        """Return the frame with the panel, uint8 RGB [height, width, 3].

        Args:
            top: the classes, best first.
            time_seconds: of the frame.
        """
        canvas_HWC = self._picture(frame_HWC)
        panel_HWC = self._panel(top, time_seconds)
        left, upper, width, height = self._layout.panel
        region = canvas_HWC[upper : upper + height, left : left + width]
        if self._layout.is_beneath:
            region[:] = panel_HWC
        else:
            cv2.addWeighted(region, 1 - _OPACITY, panel_HWC, _OPACITY, 0, dst=region)
            # The text itself is not transparent.
            np.maximum(region, np.where(panel_HWC > 190, panel_HWC, 0), out=region)
        return canvas_HWC

    def _picture(self, frame_HWC: np.ndarray) -> np.ndarray:
        """The frame at its position, as large as it fits, on an otherwise dark canvas."""
        (width, height), (left, upper, room_width, room_height) = (
            self._layout.canvas,
            self._layout.picture,
        )
        if frame_HWC.shape[:2] == (height, width):
            return frame_HWC.copy()
        canvas_HWC: np.ndarray = np.full((height, width, 3), _GROUND, np.uint8)
        zoom = min(room_width / frame_HWC.shape[1], room_height / frame_HWC.shape[0])
        size = (max(1, round(frame_HWC.shape[1] * zoom)), max(1, round(frame_HWC.shape[0] * zoom)))
        if zoom != 1:
            kind = cv2.INTER_NEAREST if zoom == int(zoom) else cv2.INTER_AREA
            frame_HWC = cv2.resize(frame_HWC, size, interpolation=kind)
        x, y = left + (room_width - size[0]) // 2, upper + (room_height - size[1]) // 2
        canvas_HWC[y : y + size[1], x : x + size[0]] = frame_HWC
        return canvas_HWC

    def _panel(self, top: Sequence[ClassScore], time_seconds: float) -> np.ndarray:
        """The panel, drawn anew only where it differs from the one before."""
        if self._leader != top[0].index:
            # The very first answer leads nobody off.
            self._leads_since = None if self._leader is None else time_seconds
            self._leader = top[0].index
        since = self._leads_since
        is_new = since is not None and 0 <= time_seconds - since < _NEW_SECONDS
        wanted = (tuple(top), is_new)
        if self._panel_HWC is None or wanted != self._drawn:
            self._panel_HWC = self._draw_panel(top, is_new)
            self._drawn = wanted
        return self._panel_HWC

    def _draw_panel(self, top: Sequence[ClassScore], is_new: bool) -> np.ndarray:
        _, _, width, height = self._layout.panel
        image = Image.new("RGB", (width, height), _GROUND)
        draw, font = ImageDraw.Draw(image), self._font
        margin, row_height = _margin(font.size), _row_height(font.size)
        for rank, item in enumerate(top):
            upper = margin + rank * row_height
            middle = upper + row_height / 2
            share, is_leader = f"{item.score:.0%}", rank == 0
            colour = _BAR if not is_leader else _NEW_BAR if is_new else _LEADER_BAR
            room = width - 2 * margin
            draw.rectangle(
                (margin, upper + 1, margin + max(1, round(room * item.score)),
                 upper + row_height - 2),
                fill=colour,
            )  # fmt: skip
            text = _TEXT if is_leader else _FAINT_TEXT
            inset = margin + max(2, font.size // 4)
            right = width - inset
            draw.text((right, middle), share, text, font.pillow, anchor="rm")
            room = right - font.width("100%") - font.size // 2 - inset
            label = font.shortened(font.legible(class_name(item)), room)
            draw.text((inset, middle), label, text, font.pillow, anchor="lm")
            if is_leader and is_new:
                draw.rectangle((0, upper + 1, margin - 2, upper + row_height - 2), fill=_TEXT)
        return np.array(image)


def class_name(score: ClassScore) -> str:
    """The class's label, or its number where the bundle has no labels."""
    text = " ".join((score.label or "").split())
    return text or f"class {score.index}"


def _margin(text_size: int) -> int:
    return max(4, text_size // 3)


def _row_height(text_size: int) -> int:
    return round(text_size * 1.45)


def _even(number: int) -> int:
    return number + number % 2


def _layout(frame_size: tuple[int, int], rows: int) -> _Layout:
    width, height = frame_size
    zoom = min(max(1, -(-_SMALLEST_WIDTH // max(frame_size))), _LARGEST_ZOOM)
    width, height = width * zoom, height * zoom
    text_size = max(_SMALLEST_TEXT, round(_TEXT_SIZE * min(width, height)))
    margin = _margin(text_size)
    panel_height = rows * _row_height(text_size) + 2 * margin
    panel_width = min(width - 2 * margin, 20 * text_size)
    is_beneath = (
        panel_width < _SMALLEST_WIDTH
        or panel_height > _LARGEST_HEIGHT * height
        or panel_width * panel_height > _LARGEST_AREA * width * height
    )
    if is_beneath:
        across = _even(max(width, _SMALLEST_WIDTH))
        return _Layout(
            canvas=(across, _even(height + panel_height)),
            picture=(0, 0, across, height),
            panel=(0, height, across, panel_height),
            text_size=text_size,
            is_beneath=True,
        )
    upper = height - margin - panel_height
    return _Layout(
        canvas=(_even(width), _even(height)),
        picture=(0, 0, width, height),
        panel=(margin, upper, panel_width, panel_height),
        text_size=text_size,
        is_beneath=False,
    )
