"""A frame with its time, and the times of frames that come without."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import av
import numpy as np

from paddlevideo.loader.decoders import RgbConverter, first_video_stream
from paddlevideo.utils.errors import DataError

logger = logging.getLogger(__name__)

DEFAULT_FRAME_RATE = 25.0


@dataclass(frozen=True)
class TimedFrame:
    """One frame of a source.

    Attributes:
        time_seconds: from the source's first frame.
        rgb: gives the picture, uint8 RGB [H, W, 3], upright. A function: a frame that is left out
            need not be converted.
        arrived: ``time.perf_counter()`` when it was decoded.
    """

    time_seconds: float
    rgb: Callable[[], np.ndarray]
    arrived: float = field(default_factory=time.perf_counter)


class FrameTimes:
    """The time of each frame of one connection, from 0 or ``start_seconds`` on.

    A frame without a timestamp comes one frame after the one before it, at the stated rate; a
    warning says so once.

    Args:
        name: of the source, for the warning.
        stated_rate: frames per second that the user states; None: what the container says, or 25.
        start_seconds: time of the first frame.
    """

    def __init__(self, name: str, stated_rate: float | None, start_seconds: float = 0.0) -> None:
        self._name = name
        self._stated_rate = stated_rate
        self._start_seconds = start_seconds
        self._first_pts_seconds: float | None = None
        self._last_seconds: float | None = None
        self._warned = False

    def __call__(self, frame: av.VideoFrame, container_rate: float | None) -> float:
        """Seconds of ``frame``."""
        if frame.pts is None or frame.time_base is None:
            return self._count(container_rate)
        seconds = float(frame.pts * frame.time_base)
        if self._first_pts_seconds is None:
            self._first_pts_seconds = seconds - (self._last_seconds or 0.0)
        self._last_seconds = seconds - self._first_pts_seconds
        return self._start_seconds + self._last_seconds

    def _count(self, container_rate: float | None) -> float:
        rate = self._stated_rate or container_rate or DEFAULT_FRAME_RATE
        if not self._warned:
            self._warned = True
            logger.warning(
                "%s: frames without timestamps; taken as %g frames/s (--frame_rate states another)",
                self._name,
                rate,
            )
        first = self._last_seconds is None
        self._last_seconds = 0.0 if first else (self._last_seconds or 0.0) + 1 / rate
        return self._start_seconds + self._last_seconds


def frames_of(
    container: av.container.InputContainer, name: str, times: FrameTimes
) -> Iterator[TimedFrame]:
    """Decode the first video stream of an open container; each frame in its own size.

    Raises:
        DataError: there is no video stream.
        FFmpegError, OSError: as PyAV raises them.
    """
    stream = first_video_stream(container)
    if stream is None:
        raise DataError(f"{name}: there is no video stream in it")
    stream.codec_context.thread_count = 1  # the other cores are the network's
    rate = float(stream.average_rate) if stream.average_rate else None
    converter = RgbConverter()
    for frame in container.decode(stream):
        yield TimedFrame(times(frame, rate), _picture(converter, frame))


def _picture(converter: RgbConverter, frame: av.VideoFrame) -> Callable[[], np.ndarray]:
    return lambda: converter.upright(frame)
