"""One decoded frame of a video, and how a finished picture is cut out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import cv2
import numpy as np

from paddlevideo.video.scaled_crop import ScaledCrop


class Picture(ABC):
    """A frame in whatever form it came: its pixels are converted only where they are wanted.

    Attributes:
        size: (height, width), upright.
    """

    size: tuple[int, int]

    @abstractmethod
    def shape_into(self, crop: ScaledCrop, target_HWC: np.ndarray) -> None:
        """Write what ``crop`` makes of it, as uint8 RGB, into ``target_HWC`` of that size."""


class RgbPicture(Picture):
    """A frame that is RGB already: an image file's, a camera's.

    Args:
        frame_HWC: uint8 RGB.
    """

    def __init__(self, frame_HWC: np.ndarray) -> None:
        self._frame_HWC = frame_HWC
        self.size = (frame_HWC.shape[0], frame_HWC.shape[1])

    def shape_into(self, crop: ScaledCrop, target_HWC: np.ndarray) -> None:
        """See `Picture`; a reduction is Pillow's or OpenCV's own arithmetic."""
        left, top, right, bottom = crop.source
        source_HWC = self._frame_HWC[top:bottom, left:right]
        if not crop.resizes:
            left, top, right, bottom = crop.cut
            picture_HWC = source_HWC[top:bottom, left:right]
        elif crop.antialias:
            picture_HWC = _antialiased(source_HWC, crop)
        else:
            height, width = crop.scaled
            left, top, right, bottom = crop.cut
            scaled_HWC = cv2.resize(np.ascontiguousarray(source_HWC), (width, height))
            picture_HWC = scaled_HWC[top:bottom, left:right]
        place_into(picture_HWC, crop.mirrored, target_HWC)


def _antialiased(source_HWC: np.ndarray, crop: ScaledCrop) -> np.ndarray:
    """Pillow's bilinear of the part that is cut out, from the pixels that this part shows."""
    from PIL import Image  # not imported where only OpenCV is wanted

    vertical = source_HWC.shape[0] / crop.scaled[0]
    horizontal = source_HWC.shape[1] / crop.scaled[1]
    left, top, right, bottom = crop.cut
    box = (left * horizontal, top * vertical, right * horizontal, bottom * vertical)
    box = (*box[:2], min(box[2], source_HWC.shape[1]), min(box[3], source_HWC.shape[0]))
    image = Image.fromarray(np.ascontiguousarray(source_HWC))
    size = (crop.cut.width, crop.cut.height)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box))


def place_into(picture_HWC: np.ndarray, mirrored: bool, target_HWC: np.ndarray) -> None:
    """Copy a picture of the size of ``target_HWC`` into it, mirrored or not."""
    if mirrored:
        cv2.flip(np.ascontiguousarray(picture_HWC), 1, dst=target_HWC)
    else:
        target_HWC[:] = picture_HWC
