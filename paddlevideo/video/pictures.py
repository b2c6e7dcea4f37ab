"""One decoded frame of a video, and how a finished picture is cut out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

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
    def cut_out(self, crop: ScaledCrop) -> np.ndarray:
        """Return what ``crop`` makes of it, but not mirrored: uint8 RGB [h, w, 3].

        It may be a view, which the next call overwrites.
        """


class RgbPicture(Picture):
    """A frame that is RGB already: an image file's, a camera's.

    Args:
        frame_HWC: uint8 RGB.
    """

    def __init__(self, frame_HWC: np.ndarray) -> None:
        self._frame_HWC = frame_HWC
        self.size = (frame_HWC.shape[0], frame_HWC.shape[1])

    def cut_out(self, crop: ScaledCrop) -> np.ndarray:
        """See `Picture`; a reduction is Pillow's or OpenCV's own arithmetic."""
        left, top, right, bottom = crop.source
        scaled_HWC = self._frame_HWC[top:bottom, left:right]
        if crop.resizes and crop.antialias:
            return _antialiased(scaled_HWC, crop)
        if crop.resizes:
            height, width = crop.scaled
            scaled_HWC = cv2.resize(np.ascontiguousarray(scaled_HWC), (width, height))
        left, top, right, bottom = crop.cut
        return scaled_HWC[top:bottom, left:right]


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


class PictureStack:
    """The finished pictures of a clip, in the layout that is wanted.

    Args:
        num_frames: of the clip.
        crop: that makes each of them.
        layout: ``THWC``, ``TCHW`` or ``CTHW``.

    Attributes:
        clip: uint8.
    """

    def __init__(self, num_frames: int, crop: ScaledCrop, layout: str) -> None:
        self._crop = crop
        height, width = crop.size
        sizes = {"T": num_frames, "H": height, "W": width, "C": 3}
        self.clip: np.ndarray = np.empty([sizes[axis] for axis in layout], np.uint8)
        self._by_frame = np.moveaxis(self.clip, layout.index("T"), 0)
        self._in_planes = layout != "THWC"

    def put(self, positions: Sequence[int], picture: Picture) -> None:
        """Put what the crop makes of a frame at these positions of the clip."""
        finished_HWC = picture.cut_out(self._crop)
        if self._crop.mirrored:
            finished_HWC = cv2.flip(np.ascontiguousarray(finished_HWC), 1)
        target = self._by_frame[positions[0]]
        if not self._in_planes:
            target[:] = finished_HWC
        elif min(finished_HWC.strides) < 0:  # OpenCV takes no turned view
            cv2.split(np.ascontiguousarray(finished_HWC), list(target))
        else:
            cv2.split(finished_HWC, list(target))
        for position in positions[1:]:
            self._by_frame[position] = target
