"""The operations by name, each with its strength for a magnitude (level) from 0 to 10.

The ranges are those of AutoAugment (arXiv 1805.09501, table 6) and of TensorFlow's Model Garden,
which added SolarizeAdd: https://github.com/tensorflow/models (official/vision/ops/augment.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from paddlevideo.utils.errors import ArgumentError, nearest_hint
from paddlevideo.video.transforms.augment import geometry, pixels

MAX_LEVEL = 10.0


# The paper moves by up to 150 pixels on frames of 331; Model Garden's RandAugment cuts boxes of up
# to twice 40 pixels out of frames of 224.
_TRANSLATED_SHARE = 150 / 331
_CUT_SHARE = 40 / 224


@dataclass(frozen=True)
class Reach:
    """What magnitude 10 stands for where that is in pixels.

    Attributes:
        translate: pixels that the clip is moved by; None: 150 / 331 of the side.
        cutout: half the side, in pixels, of the box that is cut out; None: 40 / 224 of the frame's
            shorter side.
    """

    translate: float | None = None
    cutout: float | None = None

    def translated(self, side: int) -> float:
        """Pixels along a side of ``side`` pixels."""
        return _TRANSLATED_SHARE * side if self.translate is None else self.translate

    def cut(self, side: int) -> float:
        """Half the side of the box in frames whose shorter side is ``side`` pixels."""
        return _CUT_SHARE * side if self.cutout is None else self.cutout


Operation = Callable[[np.ndarray, float, np.random.Generator, Reach], np.ndarray]


def check_operations(names: list[str], argument: str) -> None:
    """Raise `ArgumentError` for the first name that is no operation."""
    for name in names:
        if name not in OPERATIONS:
            hint = nearest_hint(name, OPERATIONS)
            raise ArgumentError(f"{argument}: {name[:100]!r} is none; {hint}")


def check_amounts(**values: float | None) -> None:
    """Raise `ArgumentError` naming the first argument that is negative."""
    for name, value in values.items():
        if value is not None and value < 0:
            raise ArgumentError(f"{name} must not be negative, got {value}")


def _plain(function: Callable[[np.ndarray], np.ndarray]) -> Operation:
    """One without a strength."""
    return lambda clip, level, rng, reach: function(clip)


def _counted(
    function: Callable[[np.ndarray, int], np.ndarray], most: int, least: int = 0
) -> Operation:
    """One whose strength is a whole number, ``most`` at magnitude 10."""
    return lambda clip, level, rng, reach: function(clip, max(least, _whole(level, most)))


def _enhancing(function: Callable[[np.ndarray, float], np.ndarray]) -> Operation:
    """One with a factor of 0.1 to 1.9; at magnitude 5 it changes nothing."""
    return lambda clip, level, rng, reach: function(clip, level / MAX_LEVEL * 1.8 + 0.1)


def _both_ways(
    function: Callable[[np.ndarray, float], np.ndarray], most: Callable[[Reach, int, int], float]
) -> Operation:
    """One that goes either way, each as often.

    At magnitude 10 by ``most`` of reach, height and width.
    """

    def moved(
        clip_THWC: np.ndarray, level: float, rng: np.random.Generator, reach: Reach
    ) -> np.ndarray:
        amount = level / MAX_LEVEL * most(reach, *clip_THWC.shape[1:3])
        return function(clip_THWC, amount if rng.random() < 0.5 else -amount)

    return moved


def _cutout(
    clip_THWC: np.ndarray, level: float, rng: np.random.Generator, reach: Reach
) -> np.ndarray:
    height, width = clip_THWC.shape[1:3]
    x, y = int(rng.integers(width)), int(rng.integers(height))
    return geometry.cutout(clip_THWC, x, y, _whole(level, reach.cut(min(height, width))))


def _whole(level: float, most: float) -> int:
    return int(level / MAX_LEVEL * most)


OPERATIONS: Mapping[str, Operation] = {
    "Identity": _plain(lambda clip: clip),
    "AutoContrast": _plain(pixels.autocontrast),
    "Equalize": _plain(pixels.equalize),
    "Invert": _plain(pixels.invert),
    # Of 0 bits TensorFlow's shift, which stops at 7, keeps the highest one.
    "Posterize": _counted(pixels.posterize, 4, least=1),
    "Solarize": _counted(pixels.solarize, 256),
    "SolarizeAdd": _counted(pixels.solarize_add, 110),
    "Color": _enhancing(pixels.color),
    "Contrast": _enhancing(pixels.contrast),
    "Brightness": _enhancing(pixels.brightness),
    "Sharpness": _enhancing(pixels.sharpness),
    "ShearX": _both_ways(geometry.shear_x, lambda *_: 0.3),
    "ShearY": _both_ways(geometry.shear_y, lambda *_: 0.3),
    "TranslateX": _both_ways(geometry.translate_x, lambda reach, _, width: reach.translated(width)),
    "TranslateY": _both_ways(
        geometry.translate_y, lambda reach, height, _: reach.translated(height)
    ),
    "Rotate": _both_ways(geometry.rotate, lambda *_: 30.0),
    "Cutout": _cutout,
}
