"""`RandomCrop` and `CenterCrop`: a square of the frame, the same one in every frame."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from paddlevideo.utils.errors import DataError
from paddlevideo.video.scaled_crop import ScaledCrop
from paddlevideo.video.steps import TRANSFORMS, Size, Transform, check_positive


class SquareCrop(Transform):
    """What crops to a square of ``target_size`` pixels share."""

    def __init__(self, target_size: int) -> None:
        check_positive(target_size=target_size)
        self.target_size = target_size

    def output_size(self, size: Size) -> Size:
        """Return the square."""
        return self.target_size, self.target_size

    def free_pixels(self, height: int, width: int) -> tuple[int, int]:
        """Return how many pixels the frame is higher and wider than the crop."""
        if min(height, width) < self.target_size:
            raise DataError(
                f"frames are {width}x{height} pixels, smaller than the crop of "
                f"{self.target_size}; list a Scale or Resize before {type(self).__name__}"
            )
        return height - self.target_size, width - self.target_size

    def cut(self, clip_THWC: np.ndarray, top: int, left: int) -> np.ndarray:
        """Return the square whose upper left corner is there, a view."""
        return clip_THWC[:, top : top + self.target_size, left : left + self.target_size]


class _OneSquare(SquareCrop):
    """Cut one square of ``target_size`` pixels."""

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a view uint8 [T, target_size, target_size, 3]."""
        height, width = clip_THWC.shape[1:3]
        left, top = self._corner(height, width, rng)
        return self.cut(clip_THWC, top, left)

    def scaled_crop(self, before: ScaledCrop, rng: np.random.Generator) -> ScaledCrop:
        """Return ``before`` and then the crop."""
        left, top = self._corner(*before.size, rng)
        return before.cropped(left, top, self.target_size, self.target_size)

    @abstractmethod
    def _corner(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
        """Return the crop's (left, top) in a frame of this size."""


@TRANSFORMS.register
class RandomCrop(_OneSquare):
    """Cut a square of ``target_size`` pixels at a random position, every one equally likely.

    Raises:
        DataError: the frames are smaller than the crop.
    """

    def _corner(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
        free_height, free_width = self.free_pixels(height, width)
        return int(rng.integers(free_width + 1)), int(rng.integers(free_height + 1))


@TRANSFORMS.register
class CenterCrop(_OneSquare):
    """Cut the central square of ``target_size`` pixels.

    Args:
        do_round: offsets are round((W - w) / 2), halves to even (PaddleVideo); otherwise floor.

    Raises:
        DataError: the frames are smaller than the crop.
    """

    draws: ClassVar[bool] = False

    def __init__(self, target_size: int, do_round: bool = True) -> None:
        super().__init__(target_size)
        self.do_round = do_round

    def _corner(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
        top, left = (
            round(free / 2) if self.do_round else free // 2
            for free in self.free_pixels(height, width)
        )
        return left, top
