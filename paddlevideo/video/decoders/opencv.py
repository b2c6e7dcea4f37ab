"""Videos through OpenCV, with PaddleVideo's reading rule."""

import time
from collections.abc import Iterator

import cv2
import numpy as np

from paddlevideo.utils.errors import DataError
from paddlevideo.utils.limits import limit
from paddlevideo.video.decoders.base import KEEP_BYTES, FrameSource
from paddlevideo.video.decoders.containers import (
    absolute,
    decodable_stream,
    decoding_errors,
    open_file,
)
from paddlevideo.video.decoders.packets import ReadingTime, check_count, check_share, warn_once
from paddlevideo.video.decoders.sizes import check_frame_size
from paddlevideo.video.decoders.times import FrameTimes
from paddlevideo.video.media import Media, as_media


class OpenCVSource(FrameSource):
    """Frames as PaddleVideo's ``backend: cv2`` sees them (docs/paddlevideo.md).

    As many reads as the header counts frames; a read that fails is skipped, the others are
    numbered in order. So a file with more frames than its header says gives the header's number,
    and a damaged file also gives what decodes behind the damage. Without a count in the header:
    reads until the first failure. Rotation noted in the file is applied by OpenCV.

    OpenCV skips damaged packets without a word; ``frames_lost`` counts the packets that the file
    lists and that gave no frame, where its index lists them (MP4, AVI).

    Args:
        video: path of a file, or the `Media` of one: OpenCV reads no others here.
        keep_bytes: frames are kept between counting and reading up to this size.

    Raises:
        DataError: no such file, OpenCV cannot open it, not one read succeeds, most frames are
            lost, or a limit is passed.
    """

    def __init__(self, video: str | Media, keep_bytes: int = KEEP_BYTES) -> None:
        self._media = as_media(video)
        self.path = path = self._media.name
        with decoding_errors(path):
            self._media.check()
        if self._media.path is None:  # OpenCV 5.0 crashes on a stream of MP4 (seen)
            raise DataError(
                f"{path}: backend cv2 reads files alone, and this is none; use backend: pyav"
            )
        self._reading_time = ReadingTime(self._media)
        self._kept: dict[int, np.ndarray] | None = {}
        listed_frames = _listed_frames(self._media)
        with decoding_errors(path):
            capture = self._open()
            try:
                fps = capture.get(cv2.CAP_PROP_FPS)
                header_frames = int(max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0))
                self.fps = fps if 0 < fps < 1e5 else None
                self._good_reads = self._read_all(capture, header_frames, keep_bytes)
            finally:
                capture.release()
        self.num_frames = len(self._good_reads)
        if self.num_frames == 0:
            raise DataError(f"{path}: OpenCV can decode no frame of it")
        self.frames_lost = max(0, listed_frames - self.num_frames)
        check_share(path, self.num_frames, self.frames_lost)
        if self.frames_lost:
            warn_once(f"{path}: OpenCV cannot decode {self.frames_lost} of {listed_frames} frames")

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(absolute(self.path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise DataError(f"{self.path}: OpenCV cannot open it as a video")
        return capture

    def _read_all(
        self, capture: cv2.VideoCapture, header_frames: int, keep_bytes: int
    ) -> list[int]:
        """Read to the end; return the numbers of the reads that gave a frame."""
        good: list[int] = []
        times_seconds: list[float] = []
        times = FrameTimes(self.path, None)
        kept_bytes = 0
        number = 0
        bad_in_row = 0
        while (number < header_frames or not header_frames) and bad_in_row <= limit("bad_packets"):
            begin = time.perf_counter()
            succeeded, frame_HWC = capture.read()
            self._reading_time.spend(time.perf_counter() - begin)
            if succeeded:
                bad_in_row = 0
                check_frame_size(self.path, frame_HWC.shape[1], frame_HWC.shape[0])
                good.append(number)
                check_count(self.path, len(good))
                seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
                times_seconds.append(times.at(seconds, self.fps))
                kept_bytes += frame_HWC.nbytes
                if kept_bytes > keep_bytes:
                    self._kept = None
                if self._kept is not None:
                    self._kept[len(good) - 1] = frame_HWC
            elif not header_frames:
                break
            else:
                bad_in_row += 1
            number += 1
        self.times_seconds = np.array(times_seconds, np.float64)
        return good

    def _decode(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        if self._kept is not None:
            if not self._kept:
                raise DataError(f"{self.path}: reading from a closed source")
            frames: Iterator[np.ndarray] = (self._kept[i] for i in wanted.tolist())
        else:
            frames = self._read_again({self._good_reads[i] for i in wanted.tolist()})
        for frame_HWC in frames:
            yield cv2.cvtColor(frame_HWC, cv2.COLOR_BGR2RGB)

    def _read_again(self, wanted_reads: set[int]) -> Iterator[np.ndarray]:
        capture = self._open()
        try:
            for number in range(max(wanted_reads) + 1):
                begin = time.perf_counter()
                grabbed = capture.grab()
                self._reading_time.spend(time.perf_counter() - begin)
                if grabbed and number in wanted_reads:
                    succeeded, frame_HWC = capture.retrieve()
                    if succeeded:
                        yield frame_HWC
        finally:
            capture.release()

    def close(self) -> None:
        self._kept = {}


def _listed_frames(media: Media) -> int:
    """How many frames the container lists, 0 where it does not; checks format and sizes too.

    OpenCV opens playlists and whatever else FFmpeg can, so PyAV looks at the file first. What an
    edit list leaves out is not listed.
    """
    path = media.name
    with decoding_errors(path), open_file(media) as container:
        stream = decodable_stream(container, path)
        if not stream.frames:  # a complete index, as MP4 and AVI have it
            return 0
        discarded = 0
        for packets, packet in enumerate(container.demux(stream)):
            discarded += packet.is_discard
            check_count(path, packets)
        listed = sum(entry.size > 0 for entry in stream.index_entries)
        return max(0, listed - discarded)
