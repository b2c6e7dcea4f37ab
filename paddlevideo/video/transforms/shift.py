"""`RandomShift`: move the picture by a few pixels."""

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.steps import TRANSFORMS, Transform


@TRANSFORMS.register
class RandomShift(Transform):
    """Translate the whole clip by one random whole number of pixels in each direction.

    Pixels that come in at the border repeat the border (edge replication).

    Args:
        max_shift_pixels: both offsets are uniform in -max .. max.
    """

    def __init__(self, max_shift_pixels: int) -> None:
        if max_shift_pixels < 0:
            raise ArgumentError(f"max_shift_pixels must not be negative, got {max_shift_pixels}")
        self.max_shift_pixels = max_shift_pixels

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 of the same shape."""
        most = self.max_shift_pixels
        down, right = (int(shift) for shift in rng.integers(-most, most + 1, size=2))
        height, width = clip_THWC.shape[1:3]
        rows = np.clip(np.arange(height) - down, 0, height - 1)
        columns = np.clip(np.arange(width) - right, 0, width - 1)
        return clip_THWC[:, rows[:, None], columns]
