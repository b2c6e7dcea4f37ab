"""The frames of a WebSocket: JPEG and PNG files, or raw pixels of a stated size."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from paddlevideo.apps.serve.refusals import MALFORMED, TOO_LARGE, RefusedError
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.limits import limit
from paddlevideo.video.decoders.frames import rgb_of
from paddlevideo.video.decoders.sizes import check_frame_size

_FORMATS = ("JPEG", "PNG")
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


@dataclass(frozen=True)
class FrameFormat:
    """How the frames of a stream are written.

    Attributes:
        raw_size: (width, height) of rgb24 pixels, row by row; None: JPEG or PNG files.
        max_pixels: of a frame.

    Raises:
        RefusedError: the stated size is too large.
    """

    raw_size: tuple[int, int] | None
    max_pixels: float

    def __post_init__(self) -> None:
        if self.raw_size is not None:
            self._check_size(*self.raw_size)

    def check(self, data: bytes) -> None:
        """Refuse, without decoding it, what is no such frame.

        Raises:
            RefusedError: its length, or its beginning, is not that of such a frame.
        """
        if self.raw_size is None:
            if not data.startswith(_BEGINNINGS):
                raise RefusedError(
                    MALFORMED,
                    f"a message of {len(data)} bytes is neither a JPEG nor a PNG file; raw "
                    "rgb24 pixels need their size: /stream?width=W&height=H",
                )
            return
        width, height = self.raw_size
        if len(data) != width * height * 3:
            raise RefusedError(
                MALFORMED,
                f"a message has {len(data)} bytes, but a raw frame of {width}x{height} has "
                f"{width * height * 3}",
            )

    def decode(self, data: bytes) -> np.ndarray:
        """uint8 RGB [H, W, 3], upright, of a message that was checked.

        Raises:
            RefusedError: it is damaged, or too large.
        """
        if self.raw_size is not None:
            width, height = self.raw_size
            return np.frombuffer(data, np.uint8).reshape(height, width, 3)
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                self._check_size(*image.size)
                return rgb_of(image)
        except RefusedError:
            raise
        except Exception as error:  # noqa: BLE001 - Pillow raises nearly everything on damaged files
            words = str(error)[:200] or type(error).__name__
            raise RefusedError(MALFORMED, f"a frame is not a readable image: {words}") from None

    def _check_size(self, width: int, height: int) -> None:
        most = min(self.max_pixels, limit("frame_pixels"))
        if width * height > most:
            raise RefusedError(
                TOO_LARGE,
                f"a frame of {width}x{height} pixels; this service takes {most:.0f} pixels at "
                "most (--max_frame_pixels)",
            )
        try:
            check_frame_size("a frame", width, height)
        except DataError as error:
            raise RefusedError(TOO_LARGE, str(error)) from None
