"""Resize every frame of a clip, with Pillow's or OpenCV's arithmetic."""

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np

Backend = Literal["pillow", "cv2"]


def resize_clip(
    clip_THWC: Iterable[np.ndarray],
    num_frames: int,
    height: int,
    width: int,
    backend: Backend = "cv2",
    interpolation: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    """Return uint8 [T, height, width, 3].

    ``pillow`` is BILINEAR with a support that grows with the reduction (antialiased); ``cv2`` is
    ``interpolation``, by default INTER_LINEAR (not antialiased).
    """
    if backend == "pillow":
        from PIL import Image  # not imported where only OpenCV is wanted

    resized: np.ndarray = np.empty((num_frames, height, width, 3), np.uint8)
    for view_HWC, target_HWC in zip(clip_THWC, resized, strict=True):
        frame_HWC = np.ascontiguousarray(view_HWC)  # neither library takes a mirrored view
        if backend == "pillow":
            image = Image.fromarray(frame_HWC)
            target_HWC[:] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        else:
            cv2.resize(frame_HWC, (width, height), dst=target_HWC, interpolation=interpolation)
    return resized
