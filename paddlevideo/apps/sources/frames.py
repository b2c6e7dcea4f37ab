"""A frame of a source with its time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import av
import numpy as np

from paddlevideo.video.decoders import RgbConverter
from paddlevideo.video.decoders.packets import VideoFrames


@dataclass(frozen=True)
class TimedFrame:
    """One frame of a source.

    Attributes:
        time_seconds: from the source's first frame, as `FrameTimes` counts.
        rgb: gives the picture, uint8 RGB [H, W, 3], upright. A function: a frame that is left out
            need not be converted.
        num_bytes: that it holds, decoded.
        arrived: ``time.perf_counter()`` when it was decoded.
    """

    time_seconds: float
    rgb: Callable[[], np.ndarray]
    num_bytes: int = 0
    arrived: float = field(default_factory=time.perf_counter)


def timed_frames(frames: VideoFrames) -> Iterator[TimedFrame]:
    """Decode the frames of an open container; each in its own size.

    Raises:
        DataError, FFmpegError, OSError: as ``frames`` raises them.
    """
    converter = RgbConverter()
    for frame, seconds in frames:
        num_bytes = sum(plane.buffer_size for plane in frame.planes)
        yield TimedFrame(seconds, _picture(converter, frame), num_bytes)


def _picture(converter: RgbConverter, frame: av.VideoFrame) -> Callable[[], np.ndarray]:
    return lambda: converter.upright(frame)
