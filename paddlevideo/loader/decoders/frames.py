"""A folder of images as a frame source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from paddlevideo.loader.decoders.base import DECODERS, Decoder, FrameSource
from paddlevideo.utils.errors import DataError

if TYPE_CHECKING:
    from paddlevideo.loader.sample import Sample

DEFAULT_SUFFIX = "img_{:05}.jpg"


class FrameFolder(FrameSource):
    """Images ``suffix.format(1)``, ``suffix.format(2)``, ... of a folder, read with Pillow.

    Frame number i (0-based, as everywhere here) is the file numbered i + 1.

    Args:
        path: the folder.
        suffix: name pattern of its images.
        num_frames: how many the list promises; None counts the files that are there.

    Raises:
        DataError: no such folder, or no images in it; on reading: an image is missing, damaged or
            of another size than the others.
    """

    kind = "frames"

    def __init__(
        self, path: str, suffix: str = DEFAULT_SUFFIX, num_frames: int | None = None
    ) -> None:
        self.path = path
        self.fps = None
        self._suffix = suffix
        if not Path(path).is_dir():
            raise DataError(f"{path}: no such folder of frames")
        self.num_frames = self._count() if num_frames is None else num_frames
        if self.num_frames < 1:
            raise DataError(f"{path}: holds no frames named {suffix.format(1)} and so on")

    def _file(self, index: int) -> Path:
        return Path(self.path) / self._suffix.format(index + 1)

    def _count(self) -> int:
        count = 0
        while self._file(count).is_file():
            count += 1
        return count

    def _decode(self, wanted: np.ndarray) -> np.ndarray:
        first_HWC = self._read_image(int(wanted[0]))
        clip = np.empty((len(wanted), *first_HWC.shape), np.uint8)
        clip[0] = first_HWC
        for place, index in enumerate(wanted[1:].tolist(), start=1):
            image_HWC = self._read_image(index)
            if image_HWC.shape != first_HWC.shape:
                raise DataError(
                    f"{self._file(index)}: {image_HWC.shape[1]}x{image_HWC.shape[0]} pixels, but "
                    f"frame {wanted[0] + 1} has {first_HWC.shape[1]}x{first_HWC.shape[0]}"
                )
            clip[place] = image_HWC
        return clip

    def _read_image(self, index: int) -> np.ndarray:
        file = self._file(index)
        try:
            with Image.open(file) as image:
                return np.asarray(image.convert("RGB"))
        except FileNotFoundError:
            raise DataError(
                f"{file}: no such image; the list promises {self.num_frames} frames"
            ) from None
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises on damaged files
            raise DataError(f"{file}: not a readable image: {error}") from None


@DECODERS.register
class FrameDecoder(Decoder):
    """Opens the folder of frames of a sample (PaddleVideo's name; no arguments).

    The number of frames and the name pattern come with the sample, from `FrameDataset`.
    """

    kind = "frames"

    def open(self, sample: Sample) -> FrameSource:
        """Open the folder ``sample.path``; raise `DataError` when there is none."""
        return FrameFolder(sample.path, sample.frame_suffix or DEFAULT_SUFFIX, sample.num_frames)
