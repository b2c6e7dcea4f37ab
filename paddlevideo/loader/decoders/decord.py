"""Videos through decord, an optional package."""

from typing import Any

import numpy as np

from paddlevideo.loader.decoders.base import FrameSource, check_is_file
from paddlevideo.utils.errors import ConfigError, DataError


def _import_decord() -> Any:
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

    Raises:
        ConfigError: decord is not installed.
        DataError: no such file, or decord cannot open or decode it.
    """

    def __init__(self, path: str) -> None:
        check_is_file(path)
        decord = _import_decord()
        self.path = path
        try:
            self._reader = decord.VideoReader(path, num_threads=1)
            self.num_frames = len(self._reader)
            self.fps = float(self._reader.get_avg_fps())
        except Exception as error:  # noqa: BLE001 - decord has an error class of its own per version
            raise DataError(f"{path}: decord cannot open it: {_first_line(error)}") from None
        if self.num_frames == 0:
            raise DataError(f"{path}: decord finds no frames in it")
        self.times_seconds = np.arange(self.num_frames) / self.fps

    def _decode(self, wanted: np.ndarray) -> np.ndarray:
        try:
            clip = self._decode_in_order(wanted)
        except Exception as error:  # noqa: BLE001 - as above
            raise DataError(f"{self.path}: decord cannot decode: {_first_line(error)}") from None
        if clip.ndim != 4 or clip.shape[-1] != 3:
            raise DataError(f"{self.path}: decord gave frames of shape {clip.shape[1:]}")
        return clip

    def _decode_in_order(self, wanted: np.ndarray) -> np.ndarray:
        """Decode from the start. decord's random access is off by frames where there are B-frames
        (decord2 3.4: frame 7 for 5, seen), its reading in order is not."""
        self._reader.seek(0)
        numbers = set(wanted.tolist())
        frames = []
        for number in range(int(wanted[-1]) + 1):
            frame = self._reader.next()
            if number in numbers:
                frames.append(frame.asnumpy())
        return np.stack(frames)

    def close(self) -> None:
        self._reader = None


def _first_line(error: Exception) -> str:
    """decord puts a C++ stack trace behind the first line."""
    return (str(error) or type(error).__name__).splitlines()[0]
