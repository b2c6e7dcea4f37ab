"""`Image2Array` and `Normalization`: layout and, if listed, scaling of a finished clip."""

from typing import ClassVar, Literal

import cv2
import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.steps import TRANSFORMS, Transform

_AXES = {"tchw": (0, 3, 1, 2), "cthw": (3, 0, 1, 2)}
_LAYOUT_OF_SHAPE = {
    (3, 1, 1): "TCHW",
    (1, 3, 1, 1): "TCHW",
    (3, 1, 1, 1): "CTHW",
    (1, 1, 1, 3): "THWC",
}


@TRANSFORMS.register
class Image2Array(Transform):
    """Bring the clip into the layout the model takes. It stays uint8; scaling comes later.

    Args:
        transpose: False keeps T, H, W, C.
        data_format: ``tchw`` or ``cthw``.
    """

    only_layout: ClassVar[bool] = True
    draws: ClassVar[bool] = False

    def __init__(
        self, transpose: bool = True, data_format: Literal["tchw", "cthw"] = "tchw"
    ) -> None:
        self.layout_out = data_format.upper() if transpose else "THWC"

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a contiguous array in the new layout."""
        if self.layout_out == "THWC":
            return np.ascontiguousarray(clip_THWC)
        if self.layout_out == "TCHW":
            return _planes(clip_THWC)
        return np.ascontiguousarray(clip_THWC.transpose(_AXES[self.layout_out.lower()]))


def _planes(clip_THWC: np.ndarray) -> np.ndarray:
    """[T, 3, H, W]; OpenCV takes colours apart in an eighth of NumPy's time."""
    frames, height, width, channels = clip_THWC.shape
    if clip_THWC.dtype != np.uint8 or channels < 2:
        return np.ascontiguousarray(clip_THWC.transpose(_AXES["tchw"]))
    planes_TCHW: np.ndarray = np.empty((frames, channels, height, width), np.uint8)
    for frame_HWC, planes_CHW in zip(clip_THWC, planes_TCHW, strict=True):
        cv2.split(np.ascontiguousarray(frame_HWC), list(planes_CHW))
    return planes_TCHW


@TRANSFORMS.register
class Normalization(Transform):
    """float32 in three steps: x / 255, then - mean, then / std (docs/paddlevideo.md).

    Needed for PaddleVideo's files only: our models scale uint8 on the device.

    Args:
        mean, std: one number per channel, for values in 0 .. 1.
        tensor_shape: how they lie along the clip's axes: [3, 1, 1] for TCHW, [3, 1, 1, 1] for CTHW,
            [1, 1, 1, 3] for THWC.

    Raises:
        ArgumentError: not three numbers each, a zero in std, or another shape.
    """

    dtype_out: ClassVar[str | None] = "float32"
    scales_values: ClassVar[bool] = True
    draws: ClassVar[bool] = False

    def __init__(
        self, mean: list[float], std: list[float], tensor_shape: list[int] | None = None
    ) -> None:
        shape = tuple(tensor_shape or (3, 1, 1))
        if shape not in _LAYOUT_OF_SHAPE:
            known = ", ".join(str(list(s)) for s in _LAYOUT_OF_SHAPE)
            raise ArgumentError(f"tensor_shape {list(shape)} fits no layout; known: {known}")
        three_each = len(mean) == len(std) == 3
        with np.errstate(over="ignore", under="ignore"):  # what float32 lacks is inf, or 0
            values: np.ndarray = np.array(
                [mean, std] if three_each else np.zeros((2, 3)), np.float32
            )
        if not np.isfinite(values).all() or not values[1].all():
            raise ArgumentError("mean and std must be three numbers each, and std not zero")
        self.layout_in = self.layout_out = _LAYOUT_OF_SHAPE[shape]
        self.mean, self.std = values.reshape(2, *shape)

    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return float32 of the same shape."""
        scaled: np.ndarray = clip.astype(np.float32)
        scaled /= np.float32(255)
        scaled -= self.mean
        scaled /= self.std
        return scaled
