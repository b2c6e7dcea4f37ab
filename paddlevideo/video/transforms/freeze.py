"""`FreezeFrame`: one frame instead of all, the control experiment for motion."""

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.steps import TRANSFORMS, Transform


@TRANSFORMS.register
class FreezeFrame(Transform):
    """Repeat one frame over the whole clip, which takes all motion out of it.

    A model that is as good on such clips does not look at motion.

    Args:
        position: which frame, as a fraction of the clip: frame floor(position * T), at most T - 1.
    """

    def __init__(self, position: float = 0.5) -> None:
        if not 0 <= position <= 1:
            raise ArgumentError(f"position must be a fraction from 0 to 1, got {position}")
        self.position = position

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a read-only view of the same shape."""
        index = min(int(self.position * len(clip_THWC)), len(clip_THWC) - 1)
        return np.broadcast_to(clip_THWC[index], clip_THWC.shape)
