"""`ScaledCrop`: cutting, resizing and mirroring of a frame as one operation, whatever its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle of pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width


@dataclass(frozen=True)
class ScaledCrop:
    """Cut a box out of a frame, resize it, cut a box out of that, and mirror it.

    Any order of cuts, resizes and mirrorings is one of these. Two resizes become one; its box is
    rounded to whole pixels of the frame, which are finer than those between the two.

    Attributes:
        source: what is cut out of the frame.
        scaled: (height, width) that it is resized to.
        cut: what is cut out of the result; only this is computed to the end.
        mirrored: whether left and right change places at last.
        antialias: whether a reduction averages all pixels that fall together (Pillow's bilinear),
            or takes the four nearest to each (OpenCV's and TensorFlow's).
    """

    source: Box
    scaled: tuple[int, int]
    cut: Box
    mirrored: bool = False
    antialias: bool = False

    @classmethod
    def whole(cls, height: int, width: int) -> ScaledCrop:
        """The one that changes nothing of a frame of this size."""
        box = Box(0, 0, width, height)
        return cls(box, box.size, box)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the result."""
        return self.cut.size

    @property
    def resizes(self) -> bool:
        """Whether it resizes."""
        return self.scaled != self.source.size

    def cropped(self, left: int, top: int, width: int, height: int) -> ScaledCrop:
        """This one, and then a box cut out of its result."""
        if self.mirrored:
            left = self.cut.width - left - width
        x, y = self.cut.left + left, self.cut.top + top
        return replace(self, cut=Box(x, y, x + width, y + height))

    def resized(self, height: int, width: int, antialias: bool) -> ScaledCrop:
        """This one, and then its result resized."""
        if (height, width) == self.size:
            return self
        vertical = self.source.height / self.scaled[0]
        horizontal = self.source.width / self.scaled[1]
        left = self.source.left + round(self.cut.left * horizontal)
        top = self.source.top + round(self.cut.top * vertical)
        right = max(left + 1, self.source.left + round(self.cut.right * horizontal))
        bottom = max(top + 1, self.source.top + round(self.cut.bottom * vertical))
        left, top = min(left, right - 1), min(top, bottom - 1)
        return ScaledCrop(
            Box(left, top, right, bottom),
            (height, width),
            Box(0, 0, width, height),
            self.mirrored,
            antialias or (self.resizes and self.antialias),
        )

    def flipped(self) -> ScaledCrop:
        """This one, and then its result mirrored."""
        return replace(self, mirrored=not self.mirrored)

    def turned_back(self, quarters: int, height: int, width: int) -> ScaledCrop:
        """The same of a frame that is yet to be turned; its result is turned then, in its place.

        Args:
            quarters: of a turn against the clock, as of ``np.rot90``.
            height, width: of the turned frame, which this one is made for.
        """
        scaled = self.scaled if quarters % 2 == 0 else (self.scaled[1], self.scaled[0])
        return replace(
            self,
            source=_turned_back(self.source, quarters, height, width),
            scaled=scaled,
            cut=_turned_back(self.cut, quarters, *self.scaled),
        )


def _turned_back(box: Box, quarters: int, height: int, width: int) -> Box:
    """The box in the picture that ``np.rot90(picture, quarters)`` makes ``height`` x ``width``."""
    for _ in range(quarters % 4):
        box = Box(height - box.bottom, box.left, height - box.top, box.right)
        height, width = width, height
    return box
