"""`Cutmix`: a box of another clip through all frames."""

import math
from collections.abc import Mapping

import numpy as np
from paddle import Tensor

from paddlevideo.loader.mixing.cuboid import draw_span, put_cuboid, whole
from paddlevideo.loader.mixing.mix import MIXES, Alpha, BatchMix


@MIXES.register
class Cutmix(BatchMix):
    """Put a box of another clip into each, the same box in every frame (arXiv 1905.04899).

    With s one draw a batch from a beta distribution the box has ``sqrt(1 - s)`` of the frame's
    height and width about a point that is uniform in the frame, and is cut off at its border. The
    labels are weighted by the area that it really has.

    Args:
        alpha: both parameters of the distribution.
    """

    def __init__(self, alpha: Alpha = 0.2) -> None:
        self.alpha = alpha

    def mix(
        self, clips: Mapping[str, Tensor], partner_B: Tensor, rng: np.random.Generator
    ) -> tuple[dict[str, Tensor], float]:
        """Return the clips with a box of their partners'."""
        (clip_BTCHW,) = clips.values()
        _, num_frames, _, height, width = clip_BTCHW.shape
        side = math.sqrt(1.0 - rng.beta(self.alpha, self.alpha))
        box = whole(num_frames), draw_span(side, height, rng), draw_span(side, width, rng)
        return put_cuboid(clips, partner_B, box)
