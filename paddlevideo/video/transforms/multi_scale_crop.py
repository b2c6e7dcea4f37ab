"""`MultiScaleCrop`: TSN's crop of several sizes and fixed places (docs/paddlevideo.md)."""

from collections.abc import Sequence

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.scaled_crop import ScaledCrop
from paddlevideo.video.steps import TRANSFORMS, Size, Transform, check_positive
from paddlevideo.video.transforms.resizing import Backend, resize_clip

_SNAP_PIXELS = 2


@TRANSFORMS.register
class MultiScaleCrop(Transform):
    """Cut one of several boxes, the same in all frames, and resize it to a square.

    Box sides are int(min(W, H) * scale) for each scale, snapped to ``target_size`` within 2 pixels
    (not where the frame is smaller: PaddleVideo then pads with black). Width and height may be
    up to ``max_distort`` scales apart: 10 pairs by default. The place is one of 13 on a grid of
    quarters of the free space. Offsets are real numbers; each border is rounded by itself, halves
    to even, as Pillow does.

    Args:
        target_size: side of the result, pixels.
        scales: fractions of the short side.
        fix_crop: take one of the fixed places; False takes any.
        allow_duplication: list a corner also where the box spans the frame and it is the same as
            another (changes how often places are drawn).
        more_fix_crop: the edge centres and quarters too (13 places instead of 5).
        backend: of the resize, see `Scale`.
    """

    def __init__(
        self,
        target_size: int,
        scales: Sequence[float] = (1.0, 0.875, 0.75, 0.66),
        max_distort: int = 1,
        fix_crop: bool = True,
        allow_duplication: bool = False,
        more_fix_crop: bool = True,
        backend: Backend = "pillow",
    ) -> None:
        check_positive(target_size=target_size)
        if not scales or not all(0 < scale <= 1 for scale in scales):
            raise ArgumentError(f"scales must be fractions in (0, 1], got {list(scales)}")
        if max_distort < 0:
            raise ArgumentError(f"max_distort must not be negative, got {max_distort}")
        self.target_size = target_size
        self.scales = tuple(scales)
        self.max_distort = max_distort
        self.fix_crop = fix_crop
        self.allow_duplication = allow_duplication
        self.more_fix_crop = more_fix_crop
        self.backend = backend

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 [T, target_size, target_size, 3]."""
        height, width = clip_THWC.shape[1:3]
        left, top, right, bottom = self.draw_box(height, width, rng)
        cut_THWC = clip_THWC[:, top:bottom, left:right]
        if cut_THWC.shape[1:3] == (self.target_size, self.target_size):
            return cut_THWC
        return resize_clip(
            cut_THWC, len(clip_THWC), self.target_size, self.target_size, self.backend
        )

    def scaled_crop(self, before: ScaledCrop, rng: np.random.Generator) -> ScaledCrop:
        """Return ``before`` and then the box and its resize."""
        left, top, right, bottom = self.draw_box(*before.size, rng)
        cut = before.cropped(left, top, right - left, bottom - top)
        return cut.resized(self.target_size, self.target_size, self.backend == "pillow")

    def draw_box(
        self, height: int, width: int, rng: np.random.Generator
    ) -> tuple[int, int, int, int]:
        """Draw (left, top, right, bottom) in pixels, inside the frame."""
        sizes = self.box_sizes(height, width)
        box_width, box_height = sizes[int(rng.integers(len(sizes)))]
        if self.fix_crop:
            places = self.places(height, width, box_height, box_width)
            left, top = places[int(rng.integers(len(places)))]
        else:
            left = float(rng.integers(width - box_width + 1))
            top = float(rng.integers(height - box_height + 1))
        right, bottom = round(left + box_width), round(top + box_height)
        # Halves rounded to even may make a side of one pixel vanish.
        left, top = min(round(left), right - 1), min(round(top), bottom - 1)
        return left, top, right, bottom

    def box_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return the (width, height) pairs to choose from."""
        short = min(height, width)
        sides = [max(1, int(short * scale)) for scale in self.scales]
        target = self.target_size
        sides = [
            target if abs(side - target) <= _SNAP_PIXELS and target <= short else side
            for side in sides
        ]
        return [
            (box_width, box_height)
            for i, box_height in enumerate(sides)
            for j, box_width in enumerate(sides)
            if abs(i - j) <= self.max_distort
        ]

    def places(
        self, height: int, width: int, box_height: int, box_width: int
    ) -> list[tuple[float, float]]:
        """Return the (left, top) offsets to choose from: at most 13 by default."""
        x, y = (width - box_width) / 4, (height - box_height) / 4
        any_place = self.allow_duplication
        places = [(0.0, 0.0)]
        if any_place or x:
            places.append((4 * x, 0.0))
        if any_place or y:
            places.append((0.0, 4 * y))
        if any_place or (x and y):
            places.append((4 * x, 4 * y))
        if any_place or x or y:
            places.append((2 * x, 2 * y))
        if self.more_fix_crop:
            places += [(0.0, 2 * y), (4 * x, 2 * y), (2 * x, 4 * y), (2 * x, 0.0)]
            places += [(i * x, j * y) for j in (1, 3) for i in (1, 3)]
        return places

    def output_size(self, size: Size) -> Size:
        """Return the square."""
        return self.target_size, self.target_size
