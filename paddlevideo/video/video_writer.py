"""`VideoWriter`: frames with their own times into an H.264 file, there whole or not at all."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from paddlevideo.utils.errors import ConfigError, DataError, DeviceError
from paddlevideo.utils.files import atomic_write
from paddlevideo.video.decoders.containers import reason

_TICKS = 90_000  # a second: every usual frame rate comes out whole
_BT601 = 6  # the colours that FFmpeg's conversion from RGB gives, stated to the players
# In the order in which they are tried: those that take any even size and keep uneven times.
_ENCODERS: Mapping[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "21", "bf": "0"},
    "libopenh264": {"allow_skip_frames": "0"},
    "h264_videotoolbox": {},
}
_FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}


def find_h264_encoder() -> str:
    """The name of an H.264 encoder that works here.

    Raises:
        DeviceError: PyAV's FFmpeg has none.
    """
    for name in _ENCODERS:
        try:
            context = av.CodecContext.create(name, "w")
            context.width, context.height, context.pix_fmt = 160, 120, "yuv420p"
            context.time_base = Fraction(1, _TICKS)
            context.open()
        except (av.error.FFmpegError, ValueError):
            continue
        return name
    raise DeviceError(
        f"no H.264 encoder works in this build of PyAV (tried {', '.join(_ENCODERS)}), so no video "
        "can be written; the wheels of the package index have one: pip install --force-reinstall av"
    )


def check_video_path(path: Path) -> None:
    """Refuse names that no video is written to.

    Raises:
        ConfigError: a file name that does not end as a video's.
    """
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"{path}: expected a name that ends in {', '.join(_FORMATS)}")


class VideoWriter:
    """Writes to a temporary file beside ``path``, which takes its place on `close`.

    Frames are encoded as they come, so memory does not grow with the video.

    Args:
        path: .mp4, .mkv or .mov; an older file stays until the new one is whole.
        size: (width, height) of all frames, both even.
        key_frame_seconds: at most so far apart are the frames that a reader can begin at; None: as
            the encoder likes.

    Attributes:
        is_open: frames are taken; not after `close`, nor after an error.

    Raises:
        DataError: it cannot be written.
        DeviceError: there is no encoder for it.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], key_frame_seconds: float | None = None
    ) -> None:
        encoder = find_h264_encoder()
        self._path = path
        self._last_tick = -1
        self._key_frame_ticks = None if key_frame_seconds is None else key_frame_seconds * _TICKS
        self._next_key_tick = 0.0
        self._files = ExitStack()  # the temporary file; empty once it is in place or removed
        self.is_open = True
        try:
            file = self._files.enter_context(atomic_write(path))
            self._container = av.open(file, "w", format=_FORMATS[path.suffix.lower()])
            self._stream = self._container.add_stream(
                encoder, rate=30, options=dict(_ENCODERS[encoder])
            )
            self._stream.width, self._stream.height = size
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, _TICKS)
            self._stream.codec_context.colorspace = _BT601
        except (av.error.FFmpegError, OSError) as error:
            raise self._given_up(error) from None

    def write(self, frame_HWC: np.ndarray, time_seconds: float) -> None:
        """Add a frame, uint8 RGB [height, width, 3].

        Args:
            time_seconds: from the video's beginning; a frame that is not later than the one
                before it is left out, as no player could show both.

        Raises:
            DataError: it cannot be written, for instance as the disk is full; nothing is left.
        """
        tick = round(time_seconds * _TICKS)
        if tick <= self._last_tick:
            return
        self._last_tick = tick
        frame = av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS)
        if self._key_frame_ticks is not None and tick >= self._next_key_tick:
            frame.pict_type = PictureType.I
            self._next_key_tick = tick + self._key_frame_ticks
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.error.FFmpegError, OSError) as error:
            raise self._given_up(error) from None

    def close(self) -> None:
        """Write what the encoder still holds, and put the file in place. A second time: nothing.

        Raises:
            DataError: it cannot be written; nothing is left.
        """
        if not self.is_open:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._files.close()
            self.is_open = False
        except (av.error.FFmpegError, OSError) as error:
            raise self._given_up(error) from None

    def discard(self) -> None:
        """Leave nothing of a file that was not closed; after `close`: nothing."""
        if self.is_open:
            self._given_up(OSError("given up"))

    def _given_up(self, error: Exception) -> DataError:
        """Remove the temporary file; the error to raise."""
        self.is_open = False
        with suppress(type(error)):  # it comes back out of the file's own clean-up
            self._files.__exit__(type(error), error, error.__traceback__)
        return DataError(f"{self._path} cannot be written: {reason(error)}")
