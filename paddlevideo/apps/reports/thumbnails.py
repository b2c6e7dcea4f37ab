"""Small pictures of a video's frames, as addresses that hold the picture itself."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from paddlevideo.utils.errors import DataError
from paddlevideo.video.decoders import FrameFolder, FrameSource, PyAVSource

_LARGEST_SIDE = 200
_QUALITY = 70


@dataclass(frozen=True)
class Thumbnails:
    """Frames of a video.

    Attributes:
        images: ``data:`` addresses of JPEG pictures, in time.
        reason: why there are none.
    """

    images: list[str]
    reason: str = ""


def thumbnails_of(path: str, number: int = 4) -> Thumbnails:
    """Up to ``number`` frames, evenly over a video file or folder of frames."""
    try:
        with _open(path) as source:
            positions = (np.arange(number) + 0.5) * source.num_frames / number
            wanted = np.unique(positions.astype(np.int64).clip(0, source.num_frames - 1))
            clip_THWC = source.read(wanted)
    except DataError as error:
        return Thumbnails([], str(error))
    return Thumbnails([_address(image_HWC) for image_HWC in clip_THWC])


def _open(path: str) -> FrameSource:
    return FrameFolder(path) if Path(path).is_dir() else PyAVSource(path)


def _address(image_HWC: np.ndarray) -> str:
    image = Image.fromarray(image_HWC)
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
