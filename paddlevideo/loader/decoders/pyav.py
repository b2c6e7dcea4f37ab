"""Videos through PyAV (FFmpeg): the default, with an exact number of frames.

What a header says about the number of frames is a hint at best (edit lists, truncated files,
streams without a count), so frames are counted by decoding. Decoding costs far less than turning
frames into RGB; so all frames are decoded once and kept as they are (YUV), and only the wanted
ones are converted. A video whose frames are too large to keep is decoded a second time instead.
"""

import functools
import logging
from collections.abc import Iterator

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from paddlevideo.loader.decoders.base import KEEP_BYTES, FrameSource, check_is_file
from paddlevideo.utils.errors import DataError

logger = logging.getLogger(__name__)


class RgbConverter:
    """Turns decoded frames into RGB.

    One converter for all frames of a video: a new one per frame takes three times as long.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def convert(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        """Return uint8 RGB [height, width, 3], not turned."""
        # BICUBIC is what OpenCV asks for; it matters for the chroma of 10-bit video only.
        rgb_HWC: np.ndarray = self._reformatter.reformat(
            frame, width, height, format="rgb24", interpolation="BICUBIC"
        ).to_ndarray()
        return rgb_HWC

    def upright(self, frame: av.VideoFrame) -> np.ndarray:
        """Return uint8 RGB [H, W, 3] of the frame's own size, turned as the file notes."""
        rgb_HWC = self.convert(frame, frame.width, frame.height)
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(rgb_HWC, turns)) if turns else rgb_HWC


def first_video_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first video stream that is not the cover of a music file; None where there is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def reason(error: Exception) -> str:
    """FFmpeg's words for an error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class PyAVSource(FrameSource):
    """The first video stream of a file, every frame that decodes, in presentation order.

    Decoding stops at the first damaged packet: what came before is used, with a warning.
    Rotation noted in the file (display matrix) is applied in quarter turns. The pixels equal
    those of OpenCV for 8-bit video.

    Args:
        path: any file FFmpeg reads.
        keep_bytes: frames are kept between counting and reading up to this size.

    Raises:
        DataError: no such file, no video stream, or not one frame decodes.
    """

    def __init__(self, path: str, keep_bytes: int = KEEP_BYTES) -> None:
        check_is_file(path)
        self.path = path
        self.fps = None
        self._damage: str | None = None
        self._kept: list[av.VideoFrame] | None = []
        kept_bytes = 0
        num_frames = 0
        times = []
        for frame in self._frames():
            times.append(float(frame.time or 0.0))
            num_frames += 1
            if self._kept is not None:
                kept_bytes += sum(plane.buffer_size for plane in frame.planes)
                self._kept.append(frame)
                if kept_bytes > keep_bytes:
                    self._kept = None
        self.num_frames = num_frames
        if num_frames == 0:
            raise DataError(f"{path}: not one frame can be decoded: {self._damage or 'no packets'}")
        self.times_seconds = np.maximum.accumulate(np.array(times) - times[0])
        if self._damage:
            _warn_once(
                f"{path}: damaged after frame {num_frames} ({self._damage}); "
                "the frames before it are used"
            )

    def _frames(self) -> Iterator[av.VideoFrame]:
        """Decode from the start; a decoding error ends the frames and is noted."""
        try:
            container = av.open(self.path)
        except (av.error.FFmpegError, OSError) as error:
            raise DataError(f"{self.path}: not a readable video: {reason(error)}") from None
        with container:
            stream = first_video_stream(container)
            if stream is None:
                raise DataError(f"{self.path}: there is no video stream in the file")
            # One thread: as fast as several on short clips, and workers are the parallelism.
            stream.codec_context.thread_count = 1
            self.fps = float(stream.average_rate) if stream.average_rate else None
            try:
                yield from container.decode(stream)
            except (av.error.FFmpegError, OSError) as error:
                self._damage = reason(error)

    def _decode(self, wanted: np.ndarray) -> np.ndarray:
        if self._kept is not None:
            if not self._kept:
                raise ValueError(f"{self.path}: reading from a closed source")
            return self._to_rgb((self._kept[i] for i in wanted), len(wanted))
        return self._to_rgb(_pick(self._frames(), wanted), len(wanted))

    def _to_rgb(self, frames: Iterator[av.VideoFrame], count: int) -> np.ndarray:
        converter = RgbConverter()
        clip: np.ndarray | None = None
        done = 0
        for frame in frames:
            if clip is None:
                turns, width, height = round(frame.rotation / 90), frame.width, frame.height
                clip = np.empty((count, height, width, 3), np.uint8)
            clip[done] = converter.convert(frame, width, height)
            done += 1
        if clip is None or done < count:
            raise DataError(f"{self.path}: decoded {done} of {count} frames the second time")
        return np.rot90(clip, turns, axes=(1, 2)) if turns % 4 else clip

    def close(self) -> None:
        self._kept = []


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


@functools.lru_cache(maxsize=4096)
def _warn_once(message: str) -> None:
    """Say it once per process, not once per epoch."""
    logger.warning("%s", message)
