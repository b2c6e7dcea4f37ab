"""`AutoAugment`: one of 25 pairs of operations that were found for ImageNet."""

from typing import Literal

import numpy as np

from paddlevideo.video.steps import TRANSFORMS, Transform
from paddlevideo.video.transforms.augment.operations import OPERATIONS, Reach, check_amounts
from paddlevideo.video.transforms.augment.policies import POLICIES


@TRANSFORMS.register
class AutoAugment(Transform):
    """Apply one of 25 sub-policies, two operations with a probability each (arXiv 1805.09501).

    The sub-policy, which of its operations are applied and to which side they go is drawn once for
    the clip; what an operation measures, it measures on the clip.

    Args:
        policy: ``v0``, which TensorFlow trains MoViNet with, or ``imagenet``, the paper's table 9.
        translate_const: pixels that magnitude 10 of a translation moves the clip by; by default
            150 / 331 of its side, as in the paper. TensorFlow's is 250: the one translation of
            ``v0``, of 1 clip in 31, then moves by 225 pixels, and of a smaller frame nothing is
            left.
    """

    def __init__(
        self, policy: Literal["v0", "imagenet"] = "v0", translate_const: float | None = None
    ) -> None:
        check_amounts(translate_const=translate_const)
        self.policy = POLICIES[policy]
        self.reach = Reach(translate=translate_const)

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 of the same shape."""
        for name, probability, level in self.policy[int(rng.integers(len(self.policy)))]:
            if rng.random() < probability:
                clip_THWC = OPERATIONS[name](clip_THWC, level, rng, self.reach)
        return clip_THWC
