"""The decode step for video files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.decoders.base import DECODERS, Decoder, FrameSource
from paddlevideo.video.decoders.decord import DecordSource
from paddlevideo.video.decoders.opencv import OpenCVSource
from paddlevideo.video.decoders.pyav import PyAVSource

if TYPE_CHECKING:
    from paddlevideo.video.sample import Sample

_SOURCES: dict[str, Callable[[str], FrameSource]] = {
    "pyav": PyAVSource,
    "cv2": OpenCVSource,
    "opencv": OpenCVSource,
    "decord": DecordSource,
}


@DECODERS.register
class VideoDecoder(Decoder):
    """Opens the video file of a sample.

    Args:
        backend: ``pyav`` (exact frame counts), ``cv2`` or ``opencv`` (PaddleVideo's reading rule,
            which trusts the header's count), ``decord`` (optional package).
    """

    kind = "video"

    def __init__(self, backend: Literal["pyav", "cv2", "opencv", "decord"] = "pyav") -> None:
        if backend not in _SOURCES:
            raise ArgumentError(f'unknown backend "{backend}"; known: {", ".join(_SOURCES)}')
        self.backend = backend

    def open(self, sample: Sample) -> FrameSource:
        """Open the video ``sample.path``; raise `DataError` when it cannot be read."""
        return _SOURCES[self.backend](sample.path)
