"""`RandomResizedCrop`: TF's random box of an area and aspect ratio, resized to a square."""

import math

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.scaled_crop import ScaledCrop
from paddlevideo.video.steps import TRANSFORMS, Size, Transform, check_positive
from paddlevideo.video.transforms.resizing import resize_clip

_MAX_ATTEMPTS = 100


@TRANSFORMS.register
class RandomResizedCrop(Transform):
    """Cut one random box, the same in all frames, and resize it to a square (plain bilinear).

    The recipe of MoViNet's own training (TF's ``sample_distorted_bounding_box``): the aspect ratio
    width / height is uniform in ``aspect``; then the height is uniform among those for which the
    area lies in ``area`` (a fraction of the frame) and the box fits; then its position is uniform.
    When no box fits in 100 attempts the whole frame is taken.

    Args:
        target_size: side of the result, pixels.
        area: smallest and largest fraction of the frame's area.
        aspect: smallest and largest width / height.
    """

    def __init__(
        self,
        target_size: int,
        area: tuple[float, float] = (0.08, 1.0),
        aspect: tuple[float, float] = (0.5, 2.0),
    ) -> None:
        check_positive(target_size=target_size)
        if not 0 < area[0] <= area[1] <= 1:
            raise ArgumentError(
                f"area must be two increasing fractions in (0, 1], got {list(area)}"
            )
        if not 0 < aspect[0] <= aspect[1]:
            raise ArgumentError(f"aspect must be two increasing ratios, got {list(aspect)}")
        self.target_size = target_size
        self.area = area
        self.aspect = aspect

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 [T, target_size, target_size, 3]."""
        height, width = clip_THWC.shape[1:3]
        left, top, right, bottom = self.draw_box(height, width, rng)
        cut_THWC = clip_THWC[:, top:bottom, left:right]
        return resize_clip(cut_THWC, len(clip_THWC), self.target_size, self.target_size)

    def scaled_crop(self, before: ScaledCrop, rng: np.random.Generator) -> ScaledCrop:
        """Return ``before`` and then the box and its resize."""
        left, top, right, bottom = self.draw_box(*before.size, rng)
        cut = before.cropped(left, top, right - left, bottom - top)
        return cut.resized(self.target_size, self.target_size, antialias=False)

    def draw_box(
        self, height: int, width: int, rng: np.random.Generator
    ) -> tuple[int, int, int, int]:
        """Draw (left, top, right, bottom) in pixels, inside the frame."""
        for _ in range(_MAX_ATTEMPTS):
            aspect = rng.uniform(*self.aspect)
            lowest = math.ceil(math.sqrt(self.area[0] * height * width / aspect))
            highest = math.floor(math.sqrt(self.area[1] * height * width / aspect))
            highest = min(highest, height, math.floor(width / aspect))
            if max(lowest, 1) > highest:
                continue
            box_height = int(rng.integers(max(lowest, 1), highest + 1))
            box_width = min(max(1, round(box_height * aspect)), width)
            fraction = box_height * box_width / (height * width)
            if not self.area[0] <= fraction <= self.area[1]:
                continue
            top = int(rng.integers(height - box_height + 1))
            left = int(rng.integers(width - box_width + 1))
            return left, top, left + box_width, top + box_height
        return 0, 0, width, height

    def output_size(self, size: Size) -> Size:
        """Return the square."""
        return self.target_size, self.target_size
