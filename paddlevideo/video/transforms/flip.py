"""`RandomFlip`: mirror the clip."""

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.scaled_crop import ScaledCrop
from paddlevideo.video.steps import TRANSFORMS, Transform


@TRANSFORMS.register
class RandomFlip(Transform):
    """Mirror the whole clip left to right with probability ``p``, one draw per clip."""

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ArgumentError(f"p must be a probability, got {p}")
        self.p = p

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a view of the same shape."""
        return clip_THWC[:, :, ::-1] if rng.random() < self.p else clip_THWC

    def scaled_crop(self, before: ScaledCrop, rng: np.random.Generator) -> ScaledCrop:
        """Return ``before``, mirrored or not."""
        return before.flipped() if rng.random() < self.p else before
