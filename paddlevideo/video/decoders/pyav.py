"""Videos through PyAV (FFmpeg): the default, with an exact number of frames.

What a header says about the number of frames is a hint at best (edit lists, truncated files,
streams without a count), so frames are counted by decoding. Decoding costs far less than turning
frames into RGB; so all frames are decoded once and kept as they are (YUV), and only the wanted
ones are converted. A video whose frames are too large to keep is decoded a second time instead.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator

import av
import numpy as np

from paddlevideo.utils.errors import DataError
from paddlevideo.video.decoders.base import KEEP_BYTES, FrameSource
from paddlevideo.video.decoders.containers import decoding_errors, open_file
from paddlevideo.video.decoders.packets import ReadingTime, VideoFrames, warn_once
from paddlevideo.video.decoders.times import FrameTimes
from paddlevideo.video.decoders.yuv_pictures import FrameShaper, RgbConverter, quarter_turns
from paddlevideo.video.media import Media, as_media
from paddlevideo.video.pictures import Picture


class DecodedSource(FrameSource):
    """A source of frames as FFmpeg decodes them."""

    def _decode(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        return _upright(self._wanted_frames(wanted))

    def _pictures(self, wanted: np.ndarray) -> Iterator[Picture]:
        return _as_pictures(self._wanted_frames(wanted))

    @abstractmethod
    def _wanted_frames(self, wanted: np.ndarray) -> Iterator[av.VideoFrame]:
        """Yield the frames ``wanted`` (ascending, no repeats)."""


class PyAVSource(DecodedSource):
    """The first video stream of a file, every frame that decodes, in presentation order.

    Damaged packets are skipped and counted, with a warning. Rotation noted in the file (display
    matrix) is applied in quarter turns. The pixels equal those of OpenCV for 8-bit video.

    Args:
        video: path of any video file that FFmpeg reads, or `Media`.
        keep_bytes: frames are kept between counting and reading up to this size.

    Raises:
        DataError: no such file, no video stream, not one frame decodes, most are lost, or a limit
            is passed.
    """

    def __init__(self, video: str | Media, keep_bytes: int = KEEP_BYTES) -> None:
        self._media = as_media(video)
        self.path = path = self._media.name
        with decoding_errors(path):
            self._media.check()
        self._reading_time = ReadingTime(self._media)
        self._kept: list[av.VideoFrame] | None = []
        with decoding_errors(path), open_file(self._media) as container:
            frames = self._frames(container)
            self.times_seconds = self._count(frames, keep_bytes)
            frames.check_losses()
            self.fps = frames.rate
            self.frames_lost = frames.frames_lost
            self.num_frames = frames.frames_read
            if frames.damage:
                warn_once(f"{path}: {frames.losses()}; the others are used")

    def _frames(self, container: av.container.InputContainer) -> VideoFrames:
        times = FrameTimes(self.path, None)
        return VideoFrames(container, self.path, times, self._reading_time)

    def _count(self, frames: VideoFrames, keep_bytes: int) -> np.ndarray:
        """Decode everything; return the times, and keep the frames unless they are too large."""
        times_seconds = []
        kept_bytes = 0
        for frame, seconds in frames:
            times_seconds.append(seconds)
            if self._kept is not None:
                kept_bytes += sum(plane.buffer_size for plane in frame.planes)
                self._kept.append(frame)
                if kept_bytes > keep_bytes:
                    self._kept = None
        return np.array(times_seconds, np.float64)

    def _wanted_frames(self, wanted: np.ndarray) -> Iterator[av.VideoFrame]:
        if self._kept is not None:
            if not self._kept:
                raise DataError(f"{self.path}: reading from a closed source")
            yield from (self._kept[i] for i in wanted)
            return
        with open_file(self._media) as container:
            frames = (frame for frame, _ in self._frames(container))
            yield from _pick(frames, wanted)

    def close(self) -> None:
        self._kept = []


def _upright(frames: Iterable[av.VideoFrame]) -> Iterator[np.ndarray]:
    """Turn frames into RGB, all in the size and rotation of the first."""
    converter = RgbConverter()
    size: tuple[int, int] | None = None
    turns = 0
    for frame in frames:
        if size is None:
            size = (frame.width, frame.height)
            turns = quarter_turns(frame)
        image_HWC = converter.convert(frame, *size)
        yield np.rot90(image_HWC, turns) if turns else image_HWC


def _as_pictures(frames: Iterable[av.VideoFrame]) -> Iterator[Picture]:
    """Give frames as pictures, all in the size and rotation of the first."""
    shaper: FrameShaper | None = None
    for frame in frames:
        if shaper is None:
            shaper = FrameShaper(frame)
        yield shaper.picture(frame)


def _pick(frames: Iterator[av.VideoFrame], wanted: np.ndarray) -> Iterator[av.VideoFrame]:
    """Yield the frames whose number is in ``wanted`` (ascending); stop after the last."""
    remaining = iter(wanted.tolist())
    target = next(remaining, None)
    for number, frame in enumerate(frames):
        if number == target:
            yield frame
            target = next(remaining, None)
            if target is None:
                return
