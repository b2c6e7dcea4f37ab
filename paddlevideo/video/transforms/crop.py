"""`RandomCrop` and `CenterCrop`: a square of the frame, the same one in every frame."""

import numpy as np

from paddlevideo.utils.errors import DataError
from paddlevideo.video.steps import TRANSFORMS, Size, Transform, check_positive


class SquareCrop(Transform):
    """What crops to a square of ``target_size`` pixels share."""

    def __init__(self, target_size: int) -> None:
        check_positive(target_size=target_size)
        self.target_size = target_size

    def output_size(self, size: Size) -> Size:
        """Return the square."""
        return self.target_size, self.target_size

    def free_pixels(self, clip_THWC: np.ndarray) -> tuple[int, int]:
        """Return how many pixels the frame is higher and wider than the crop.

        Raises:
            DataError: it is smaller.
        """
        height, width = clip_THWC.shape[1:3]
        if min(height, width) < self.target_size:
            raise DataError(
                f"frames are {width}x{height} pixels, smaller than the crop of "
                f"{self.target_size}; list a Scale or Resize before {type(self).__name__}"
            )
        return height - self.target_size, width - self.target_size

    def cut(self, clip_THWC: np.ndarray, top: int, left: int) -> np.ndarray:
        """Return the square whose upper left corner is there, a view."""
        return clip_THWC[:, top : top + self.target_size, left : left + self.target_size]


@TRANSFORMS.register
class RandomCrop(SquareCrop):
    """Cut a square of ``target_size`` pixels at a random position, every one equally likely.

    Raises:
        DataError: the frames are smaller than the crop.
    """

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a view uint8 [T, target_size, target_size, 3]."""
        free_height, free_width = self.free_pixels(clip_THWC)
        left, top = int(rng.integers(free_width + 1)), int(rng.integers(free_height + 1))
        return self.cut(clip_THWC, top, left)


@TRANSFORMS.register
class CenterCrop(SquareCrop):
    """Cut the central square of ``target_size`` pixels.

    Args:
        do_round: offsets are round((W - w) / 2), halves to even (PaddleVideo); otherwise floor.

    Raises:
        DataError: the frames are smaller than the crop.
    """

    def __init__(self, target_size: int, do_round: bool = True) -> None:
        super().__init__(target_size)
        self.do_round = do_round

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a view uint8 [T, target_size, target_size, 3]."""
        top, left = (
            round(free / 2) if self.do_round else free // 2 for free in self.free_pixels(clip_THWC)
        )
        return self.cut(clip_THWC, top, left)
