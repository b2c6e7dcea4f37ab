"""Videos through PyAV by what their headers say: the frame nearest to a time, without an index."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import av
import numpy as np

from paddlevideo.utils.errors import DataError
from paddlevideo.video.decoders.base import FrameSource
from paddlevideo.video.decoders.containers import (
    decodable_stream,
    decoding_errors,
    open_file,
    reason,
)
from paddlevideo.video.decoders.packets import ReadingTime, check_count, warn_once
from paddlevideo.video.decoders.pyav import DecodedSource, PyAVSource
from paddlevideo.video.decoders.sizes import check_frame_size
from paddlevideo.video.media import Media, as_media

# A gap between wanted frames that is decoded through rather than sought across.
_SHORT_GAP_SECONDS = 1.0


def open_approximate(video: str | Media) -> FrameSource:
    """Open a video by its header; whole (`PyAVSource`) where that tells no rate or duration.

    Raises:
        DataError: as `PyAVSource`.
    """
    media = as_media(video)
    path = media.name
    with decoding_errors(path), open_file(media) as container:
        stream = decodable_stream(container, path, "in it")
        rate = float(stream.average_rate) if stream.average_rate else 0.0
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (container.duration or 0) / 1e6
        begin = float((stream.start_time or 0) * stream.time_base)
        count = seconds * rate
    if not (0 < rate < 1e4 and 1 <= count < math.inf):
        return PyAVSource(media)
    check_count(path, round(count))
    return ApproximateSource(media, round(count), rate, begin)


class ApproximateSource(DecodedSource):
    """The frames that the header promises, frame i the one nearest to the time i / rate.

    Of a file of a constant rate these are its frames. Where the rate varies, the header's count is
    an average: frames repeat or are left out, and times are off by as much. Damage is passed over.

    Args:
        media: the video.
        num_frames, rate: by the header.
        begin_seconds: timestamp of the first frame.
    """

    def __init__(self, media: Media, num_frames: int, rate: float, begin_seconds: float) -> None:
        self._media = media
        self.path = media.name
        self.num_frames = num_frames
        self.fps = rate
        self._rate = rate
        self.times_seconds = np.arange(num_frames) / rate
        self._begin_seconds = begin_seconds
        self._reading_time = ReadingTime(media)

    def _wanted_frames(self, wanted: np.ndarray) -> Iterator[av.VideoFrame]:
        seconds = (wanted / self._rate + self._begin_seconds).tolist()
        gap = max(_SHORT_GAP_SECONDS, 2 / self._rate)
        begin = 0
        with open_file(self._media) as container:
            stream = decodable_stream(container, self.path, "in it")
            for end in range(1, len(seconds) + 1):
                if end < len(seconds) and seconds[end] - seconds[end - 1] <= gap:
                    continue
                yield from self._near(container, stream, seconds[begin:end])
                begin = end

    def _near(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        seconds: list[float],
    ) -> Iterator[av.VideoFrame]:
        """The frames nearest to these ascending times, from the key frame before them on."""
        container.seek(
            int(seconds[0] / stream.time_base), stream=stream, backward=True, any_frame=False
        )
        stream.codec_context.flush_buffers()
        half = 0.5 / self._rate
        frame: av.VideoFrame | None = None
        at = 0
        for frame in self._frames(container, stream):
            while frame.time is not None and frame.time > seconds[at] - half:
                yield frame
                at += 1
                if at == len(seconds):
                    return
        if frame is None:
            raise DataError(f"{self.path}: not one frame can be decoded at {seconds[0]:.3f} s")
        yield from [frame] * (len(seconds) - at)  # fewer frames than the header says

    def _frames(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[av.VideoFrame]:
        width = height = 0
        begin = time.perf_counter()
        for packet in container.demux(stream):
            if not packet.size and packet.dts is not None:
                continue
            frames = self._decoded(packet)
            self._reading_time.spend(time.perf_counter() - begin)
            for frame in frames:
                if frame.width != width or frame.height != height:
                    width, height = frame.width, frame.height
                    check_frame_size(self.path, width, height)
                yield frame
            begin = time.perf_counter()

    def _decoded(self, packet: av.Packet) -> list[av.VideoFrame]:
        """Its frames; none of a damaged one, whose neighbours stand for it."""
        try:
            return packet.decode()
        except Exception as error:  # noqa: BLE001 - damaged packets raise nearly everything
            warn_once(f"{self.path}: damaged ({reason(error)}); the frames beside it are used")
            return []
