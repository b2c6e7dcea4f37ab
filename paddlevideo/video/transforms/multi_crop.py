"""`UniformCrop` and `TenCrop`: several squares of the frame, each a view of its own in a test."""

from typing import ClassVar

import numpy as np

from paddlevideo.video.steps import TRANSFORMS
from paddlevideo.video.transforms.crop import SquareCrop


@TRANSFORMS.register
class UniformCrop(SquareCrop):
    """Three squares of ``target_size`` pixels along the longer side (of a square: the width).

    With s = floor((longer - target_size) / 2) they begin at 0, 2 * s and s, in this order:
    PaddleVideo's (docs/paddlevideo.md). It wants a shorter side of ``target_size``; a greater one
    is cut in the middle, at floor((shorter - target_size) / 2).

    Raises:
        DataError: the frames are smaller than the crop.
    """

    num_crops = 3
    draws: ClassVar[bool] = False

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 [3, T, target_size, target_size, 3]."""
        free_height, free_width = self.free_pixels(*clip_THWC.shape[1:3])
        down, right = free_height // 2, free_width // 2
        if free_width >= free_height:
            places = [(down, 0), (down, 2 * right), (down, right)]
        else:
            places = [(0, right), (2 * down, right), (down, right)]
        return np.stack([self.cut(clip_THWC, top, left) for top, left in places])


@TRANSFORMS.register
class TenCrop(SquareCrop):
    """The squares in the four corners and in the centre, and each of them mirrored.

    With a = floor((W - target_size) / 4) and b likewise of H, they begin at (0, 0), (4a, 0),
    (0, 4b), (4a, 4b) and (2a, 2b); each is followed by its mirror image: PaddleVideo's
    (docs/paddlevideo.md). Leave it to data in which a mirrored motion is of the same class.

    Raises:
        DataError: the frames are smaller than the crop.
    """

    num_crops = 10
    draws: ClassVar[bool] = False

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 [10, T, target_size, target_size, 3]."""
        down, right = (free // 4 for free in self.free_pixels(*clip_THWC.shape[1:3]))
        places = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)]
        crops = [self.cut(clip_THWC, v * down, h * right) for v, h in places]
        return np.stack([each for crop in crops for each in (crop, crop[:, :, ::-1])])
