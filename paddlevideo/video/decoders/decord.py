"""Videos through decord, an optional package."""

import time
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.video.decoders.base import FrameSource
from paddlevideo.video.decoders.containers import (
    absolute,
    decodable_stream,
    decoding_errors,
    open_file,
)
from paddlevideo.video.decoders.packets import ReadingTime, check_count
from paddlevideo.video.decoders.times import FrameTimes
from paddlevideo.video.media import Media, as_media


def _import_decord() -> ModuleType:
    try:
        import decord
    except ImportError:
        raise ConfigError(
            "VideoDecoder backend decord is not installed; pip install decord2 (or decord), or use "
            "backend: pyav"
        ) from None
    return decord


class DecordSource(FrameSource):
    """Frames through decord's lazy reader. The count is decord's own, from the container's index.

    decord does not tell of frames that it could not decode; ``frames_lost`` is 0.

    Raises:
        ConfigError: decord is not installed.
        DataError: no such file, decord cannot open or decode it, or a limit is passed.
    """

    def __init__(self, video: str | Media) -> None:
        media = as_media(video)
        media.check()
        path = media.path
        if path is None:
            raise DataError(
                f"{media.name}: backend decord reads files alone, and this is none; use backend: "
                "pyav"
            )
        decord = _import_decord()
        self.path = path
        self._reading_time = ReadingTime(path)
        # decord opens playlists and whatever else FFmpeg can: PyAV looks at the file first.
        with decoding_errors(path), open_file(path) as container:
            stream = decodable_stream(container, path)
            check_count(path, stream.frames)
        try:
            self._reader = decord.VideoReader(absolute(path), num_threads=1)
            self.num_frames = len(self._reader)
            fps = float(self._reader.get_avg_fps())
            self.fps = fps if 0 < fps < 1e5 else None
            check_count(path, self.num_frames)
            self.times_seconds = self._times()
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001 - decord has an error class of its own per version
            raise DataError(f"{path}: decord cannot open it: {_first_line(error)}") from None
        if self.num_frames == 0:
            raise DataError(f"{path}: decord finds no frames in it")
        self.times_seconds = np.arange(self.num_frames) / self.fps

    def _times(self) -> np.ndarray:
        times = FrameTimes(self.path, None)
        stamps = self._reader.get_frame_timestamp(list(range(self.num_frames)))[:, 0]
        return np.array([times.at(float(stamp), self.fps) for stamp in stamps], np.float64)

    def _decode(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Decode from the start. decord's random access is off by frames where there are B-frames
        (decord2 3.4: frame 7 for 5, seen), its reading in order is not."""
        numbers = set(wanted.tolist())
        try:
            self._reader.seek(0)
            for number in range(int(wanted[-1]) + 1):
                begin = time.perf_counter()
                frame = self._reader.next()
                self._reading_time.spend(time.perf_counter() - begin)
                if number in numbers:
                    yield frame.asnumpy()
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            raise DataError(f"{self.path}: decord cannot decode: {_first_line(error)}") from None

    def close(self) -> None:
        self._reader = None


def _first_line(error: Exception) -> str:
    """decord puts a C++ stack trace behind the first line."""
    return (str(error) or type(error).__name__).splitlines()[0][:300]
