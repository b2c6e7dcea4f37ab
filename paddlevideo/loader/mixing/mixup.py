"""`Mixup`: two clips on top of one another."""

from collections.abc import Mapping

import numpy as np
from paddle import Tensor

from paddlevideo.loader.mixing.mix import MIXES, Alpha, BatchMix


@MIXES.register
class Mixup(BatchMix):
    """``s * a + (1 - s) * b`` of two clips and of their labels (arXiv 1710.09412).

    The share s is one draw a batch from a beta distribution. uint8 becomes float32, not rounded;
    as the model scales values by a straight line, that is the mix of the scaled clips.

    Args:
        alpha: both parameters of the distribution.
    """

    takes_several_inputs = True

    def __init__(self, alpha: Alpha = 0.2) -> None:
        self.alpha = alpha

    def mix(
        self, clips: Mapping[str, Tensor], partner_B: Tensor, rng: np.random.Generator
    ) -> tuple[dict[str, Tensor], float]:
        """Return the sums."""
        share = float(rng.beta(self.alpha, self.alpha))
        mixed = {}
        for name, clip in clips.items():
            other = clip.gather(partner_B, axis=0)  # a quarter of the bytes, before the cast
            if "int" in str(clip.dtype):
                clip, other = clip.astype("float32"), other.astype("float32")
            mixed[name] = share * clip + (1.0 - share) * other
        return mixed, share
