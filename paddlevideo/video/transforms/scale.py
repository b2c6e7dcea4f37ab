"""`Scale`: the short side to a size (PaddleVideo). `Resize`: both sides."""

from typing import ClassVar, Literal

import cv2
import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.scaled_crop import ScaledCrop
from paddlevideo.video.steps import TRANSFORMS, Size, Transform, check_positive
from paddlevideo.video.transforms.resizing import Backend, resize_clip


@TRANSFORMS.register
class Scale(Transform):
    """Make the short side ``short_size`` pixels long (docs/paddlevideo.md).

    Frames whose short side has that length already are left alone. Else the long side becomes

    - ``fixed_ratio`` (PaddleVideo's default): int(short_size * 4 / 3) whatever the input, which
      squeezes every video to 4:3;
    - ``keep_ratio: False`` (with ``fixed_ratio: False``): short_size, a square;
    - otherwise int(long * short_size / short), or int(long * factor + 0.5) with ``do_round``.

    Args:
        short_size: pixels.
        backend: ``pillow`` (antialiased bilinear) or ``cv2`` (plain bilinear).

    Raises:
        ArgumentError: ``fixed_ratio`` together with ``keep_ratio``.
    """

    draws: ClassVar[bool] = False

    def __init__(
        self,
        short_size: int,
        fixed_ratio: bool = True,
        keep_ratio: bool | None = None,
        do_round: bool = False,
        backend: Backend = "pillow",
    ) -> None:
        check_positive(short_size=short_size)
        if fixed_ratio and keep_ratio is not None:
            raise ArgumentError(
                "fixed_ratio and keep_ratio exclude one another; set fixed_ratio: False"
            )
        self.short_size = short_size
        self.fixed_ratio = fixed_ratio
        self.keep_ratio = keep_ratio
        self.do_round = do_round
        self.backend = backend

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 [T, h, w, 3] with min(h, w) = short_size."""
        num_frames, height, width, _ = clip_THWC.shape
        if min(height, width) == self.short_size:
            return clip_THWC
        new_height, new_width = self._scaled(height, width)
        return resize_clip(clip_THWC, num_frames, new_height, new_width, self.backend)

    def scaled_crop(self, before: ScaledCrop, rng: np.random.Generator) -> ScaledCrop:
        """Return ``before`` and then the resize."""
        return before.resized(*self._scaled(*before.size), self.backend == "pillow")

    def output_size(self, size: Size) -> Size:
        """Return the size of scaled frames; (None, None) where that of the frames is unknown."""
        height, width = size
        if height is None or width is None:
            return None, None
        return self._scaled(height, width)

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        short, long = min(height, width), max(height, width)
        if short == self.short_size:
            return height, width
        long_size = self._long_size(short, long)
        return (long_size, self.short_size) if width <= height else (self.short_size, long_size)

    def _long_size(self, short: int, long: int) -> int:
        if self.fixed_ratio:
            return int(self.short_size * 4.0 / 3.0)
        if self.keep_ratio is False:
            return self.short_size
        if self.do_round:
            return int(long * (self.short_size / short) + 0.5)
        return int(long * self.short_size / short)


@TRANSFORMS.register
class Resize(Transform):
    """Resize to ``height`` x ``width`` pixels; the aspect ratio is not kept.

    Args:
        interpolation: ``linear`` (TF's and OpenCV's plain bilinear) or ``area`` (averages the
            pixels that fall together; better for a strong reduction).
    """

    draws: ClassVar[bool] = False

    def __init__(
        self, height: int, width: int, interpolation: Literal["linear", "area"] = "linear"
    ) -> None:
        check_positive(height=height, width=width)
        self.height = height
        self.width = width
        self.interpolation = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}[interpolation]

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 [T, height, width, 3]."""
        if clip_THWC.shape[1:3] == (self.height, self.width):
            return clip_THWC
        return resize_clip(
            clip_THWC, len(clip_THWC), self.height, self.width, interpolation=self.interpolation
        )

    @property
    def averages(self) -> bool:
        """Whether a reduction averages the pixels that fall together (``area``)."""
        return self.interpolation == cv2.INTER_AREA

    def scaled_crop(self, before: ScaledCrop, rng: np.random.Generator) -> ScaledCrop:
        """Return ``before`` and then the resize; ``area`` averages, as every antialiased one."""
        return before.resized(self.height, self.width, self.averages)

    def output_size(self, size: Size) -> Size:
        """Return the size asked for."""
        return self.height, self.width
