"""A folder of images as a frame source."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.utils.errors import DataError
from paddlevideo.utils.limits import how_to_raise
from paddlevideo.video.decoders.base import DECODERS, Decoder, FrameSource
from paddlevideo.video.decoders.sizes import check_frame_size

if TYPE_CHECKING:
    from PIL import Image

    from paddlevideo.video.sample import Sample

DEFAULT_SUFFIX = "img_{:05}.jpg"


class FrameFolder(FrameSource):
    """Images ``suffix.format(1)``, ``suffix.format(2)``, ... of a folder, read with Pillow.

    Frame number i (0-based, as everywhere here) is the file numbered i + ``start_index``. Images
    are turned as their EXIF data says; of 16-bit grey the upper byte is taken.

    Args:
        path: the folder.
        suffix: name pattern of its images.
        num_frames: how many the list promises; None counts the files that are there.
        start_index: number of the first image.

    Raises:
        DataError: no such folder, or no images in it; on reading: an image is missing, damaged, too
            large, of another size than the others, or of a kind that has no 8-bit colours.
    """

    kind = "frames"

    def __init__(
        self,
        path: str,
        suffix: str = DEFAULT_SUFFIX,
        num_frames: int | None = None,
        start_index: int = 1,
    ) -> None:
        self.path = path
        self.fps = None
        self._suffix = suffix
        self._start_index = start_index
        if not Path(path).is_dir():
            raise DataError(f"{path}: no such folder of frames")
        self.num_frames = self._count() if num_frames is None else num_frames
        if self.num_frames < 1:
            raise DataError(
                f"{path}: holds no frames named {self._file(0).name} and so on{self._hint()}"
            )

    def _file(self, index: int) -> Path:
        return Path(self.path) / self._suffix.format(index + self._start_index)

    def _count(self) -> int:
        count = 0
        while self._file(count).is_file():
            count += 1
        return count

    def _hint(self) -> str:
        """What to do where images are numbered from elsewhere."""
        for start_index in (0, 1):
            name = self._suffix.format(start_index)
            if start_index != self._start_index and (Path(self.path) / name).is_file():
                return f"; there is {name}: start_index: {start_index} counts from there"
        return ""

    def _decode(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        first_HWC: np.ndarray | None = None
        for index in wanted.tolist():
            image_HWC = self._read_image(index)
            first_HWC = image_HWC if first_HWC is None else first_HWC
            if image_HWC.shape != first_HWC.shape:
                raise DataError(
                    f"{self._file(index)}: {image_HWC.shape[1]}x{image_HWC.shape[0]} pixels, but "
                    f"frame {wanted[0] + self._start_index} has "
                    f"{first_HWC.shape[1]}x{first_HWC.shape[0]}"
                )
            yield image_HWC

    def _read_image(self, index: int) -> np.ndarray:
        file = self._file(index)
        try:
            with _open_image(file) as image:
                check_frame_size(file, *image.size)
                return rgb_of(image)
        except DataError:
            raise
        except FileNotFoundError:
            hint = self._hint() if index == 0 else ""
            raise DataError(
                f"{file}: no such image; the list promises {self.num_frames} frames{hint}"
            ) from None
        except Exception as error:  # noqa: BLE001 - Pillow raises nearly everything on damaged files
            words = str(error)[:300] or type(error).__name__
            raise DataError(f"{file}: not a readable image: {words}") from None


def _open_image(file: Path) -> Image.Image:
    """Open an image; its size is known, its pixels are not read yet."""
    from PIL import Image  # here, as most prediction is of videos and starts without it

    with warnings.catch_warnings():  # ours is the check of sizes
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(file)
        except Image.DecompressionBombError as error:
            raise DataError(f"{file}: {error}; {how_to_raise('frame_pixels')}") from None


def rgb_of(image: Image.Image) -> np.ndarray:
    """Return uint8 RGB [H, W, 3] of an image, upright.

    Raises:
        ValueError: its values have no known range.
    """
    if image.mode.startswith("I;16"):
        grey_HW = np.asarray(_upright(image)).astype(np.uint16) >> 8
    elif image.mode == "I":  # 16-bit PNG files in some versions of Pillow
        values_HW = np.asarray(_upright(image))
        if values_HW.min() < 0 or values_HW.max() > 0xFFFF:
            raise ValueError("32-bit grey values above 65535 have no known range")
        grey_HW = values_HW >> 8
    elif image.mode == "F":
        raise ValueError("floating-point values have no known range; save it with 8 or 16 bits")
    else:
        return np.asarray(_upright(image).convert("RGB"))
    return np.repeat(grey_HW.astype(np.uint8)[..., None], 3, axis=2)


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


@DECODERS.register
class FrameDecoder(Decoder):
    """Opens the folder of frames of a sample (PaddleVideo's name; no arguments).

    The number of frames and the name pattern come with the sample, from `FrameDataset`.
    """

    kind = "frames"

    def open(self, sample: Sample) -> FrameSource:
        """Open the folder ``sample.path``; raise `DataError` when there is none."""
        if sample.media is not None:
            raise DataError(f"{sample.path}: FrameDecoder reads folders of images, not videos")
        return FrameFolder(
            sample.path,
            sample.frame_suffix or DEFAULT_SUFFIX,
            sample.num_frames,
            sample.frame_start_index,
        )
