"""`RandomErasing`: a box of noise or of one value, through all frames."""

import math
from typing import Literal

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.steps import TRANSFORMS, Transform

_TRIALS = 10


@TRANSFORMS.register
class RandomErasing(Transform):
    """Fill a box at a random place, the same in every frame, with probability ``p``.

    arXiv 1708.04896: the box has an area uniform in ``area`` (of the frame's) and a height over
    width uniform in ``aspect`` on a logarithmic scale; one that does not fit is drawn again, ten
    times at most. Its noise too is that of one frame: what changes from frame to frame would look
    like a motion.

    Args:
        p: probability of erasing.
        area: least and largest share of the frame.
        aspect: least and largest ratio of the box's height to its width.
        fill: ``noise``, each value of each pixel uniform in 0 .. 255, or one value for all.
    """

    def __init__(
        self,
        p: float = 0.25,
        area: tuple[float, float] = (0.02, 1.0 / 3.0),
        aspect: tuple[float, float] = (0.3, 1.0 / 0.3),
        fill: Literal["noise"] | int = "noise",
    ) -> None:
        if not 0 <= p <= 1:
            raise ArgumentError(f"p must be a probability, got {p}")
        if not 0 < area[0] <= area[1] < 1:
            raise ArgumentError(f"area must be two increasing shares between 0 and 1, got {area}")
        if not 0 < aspect[0] <= aspect[1]:
            raise ArgumentError(f"aspect must be two increasing ratios above 0, got {aspect}")
        if not isinstance(fill, str) and not 0 <= fill <= 255:
            raise ArgumentError(f"fill must be noise or a value from 0 to 255, got {fill}")
        self.p, self.area, self.aspect, self.fill = p, area, aspect, fill

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 of the same shape."""
        if rng.random() >= self.p:
            return clip_THWC
        height, width = clip_THWC.shape[1:3]
        box = self._box(height, width, rng)
        if box is None:
            return clip_THWC
        top, left, box_height, box_width = box
        content: np.ndarray | int = (
            rng.integers(0, 256, (box_height, box_width, 3), dtype=np.uint8)
            if isinstance(self.fill, str)
            else self.fill
        )
        erased = clip_THWC.copy()
        erased[:, top : top + box_height, left : left + box_width] = content
        return erased

    def _box(
        self, height: int, width: int, rng: np.random.Generator
    ) -> tuple[int, int, int, int] | None:
        """Top, left, height and width in pixels; None if ten draws do not fit."""
        for _ in range(_TRIALS):
            area = rng.uniform(*self.area) * height * width
            aspect = math.exp(rng.uniform(*np.log(self.aspect)))
            box_height, box_width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < box_height < height and 0 < box_width < width:
                top = int(rng.integers(height - box_height + 1))
                left = int(rng.integers(width - box_width + 1))
                return top, left, box_height, box_width
        return None
