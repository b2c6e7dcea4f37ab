"""`RandAugment`: a few operations at random, all of one strength."""

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.steps import TRANSFORMS, Transform, check_positive
from paddlevideo.video.transforms.augment.operations import (
    MAX_LEVEL,
    OPERATIONS,
    Reach,
    check_amounts,
    check_operations,
)

# Figure 2 of the paper.
_OPERATIONS = (
    "Identity", "AutoContrast", "Equalize", "Rotate", "Solarize", "Color", "Posterize",
    "Contrast", "Brightness", "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY",
)  # fmt: skip


@TRANSFORMS.register
class RandAugment(Transform):
    """Apply ``num_layers`` operations, each drawn from all with equal chance (arXiv 1909.13719).

    Everything is drawn once for the clip. Operations and their strengths are AutoAugment's:
    ``magnitude`` 10 turns by 30 degrees and shears by 0.3; Color, Contrast, Brightness and
    Sharpness go from 0.1 at 0 over no change at 5 to 1.9 at 10; Solarize and Posterize do less the
    larger it is.

    Args:
        num_layers: N of the paper.
        magnitude: M of the paper, 0 to 10.
        magnitude_std: standard deviation of the magnitude, drawn for each operation from a normal
            distribution and cut off at 0 and 10.
        operations: those to draw from; by default the paper's 14. There are also Invert,
            SolarizeAdd and Cutout.
        translate_const: pixels that magnitude 10 moves the clip by; by default 150 / 331 of its
            side.
        cutout_const: half the side, in pixels, of the box that magnitude 10 of Cutout fills; by
            default 40 / 224 of the shorter side.
    """

    def __init__(
        self,
        num_layers: int = 2,
        magnitude: float = 9.0,
        magnitude_std: float = 0.0,
        operations: list[str] | None = None,
        translate_const: float | None = None,
        cutout_const: float | None = None,
    ) -> None:
        check_positive(num_layers=num_layers)
        if not 0 <= magnitude <= MAX_LEVEL:
            raise ArgumentError(f"magnitude must be from 0 to 10, got {magnitude}")
        check_amounts(
            magnitude_std=magnitude_std,
            translate_const=translate_const,
            cutout_const=cutout_const,
        )
        self.operations = list(_OPERATIONS if operations is None else operations)
        if not self.operations:
            raise ArgumentError("operations is empty; leave it out for the paper's 14")
        check_operations(self.operations, "operations")
        self.num_layers = num_layers
        self.magnitude, self.magnitude_std = magnitude, magnitude_std
        self.reach = Reach(translate_const, cutout_const)

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 of the same shape."""
        for _ in range(self.num_layers):
            name = self.operations[int(rng.integers(len(self.operations)))]
            level = self.magnitude
            if self.magnitude_std > 0:
                level = float(np.clip(rng.normal(level, self.magnitude_std), 0.0, MAX_LEVEL))
            clip_THWC = OPERATIONS[name](clip_THWC, level, rng, self.reach)
        return clip_THWC
