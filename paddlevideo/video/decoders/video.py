"""The decode step for video files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.decoders.approximate import open_approximate
from paddlevideo.video.decoders.base import DECODERS, Decoder, FrameSource
from paddlevideo.video.decoders.containers import decoding_errors
from paddlevideo.video.decoders.decord import DecordSource
from paddlevideo.video.decoders.opencv import OpenCVSource
from paddlevideo.video.decoders.packet_index import IndexCache
from paddlevideo.video.decoders.pyav import PyAVSource
from paddlevideo.video.decoders.seeking import open_exact
from paddlevideo.video.media import FileMedia, Media

if TYPE_CHECKING:
    from paddlevideo.video.sample import Sample

_SOURCES: dict[str, Callable[[Media], FrameSource]] = {
    "pyav": PyAVSource,
    "cv2": OpenCVSource,
    "opencv": OpenCVSource,
    "decord": DecordSource,
}


Seek = Literal["none", "exact", "approximate"]


@DECODERS.register
class VideoDecoder(Decoder):
    """Opens the video of a sample: a file, or bytes from a shard or from memory.

    Args:
        backend: ``pyav`` (exact frame counts), ``cv2`` or ``opencv`` (PaddleVideo's reading rule,
            which trusts the header's count), ``decord`` (optional package).
        seek: ``none`` decodes the whole file; ``exact`` only what the wanted frames need, by an
            index of the packets (`PacketIndex`): the same frames; ``approximate`` the same without
            an index, by the header's rate and duration (`ApproximateSource`). For ``pyav``.
        index_folder: where indexes of ``seek: exact`` are kept for other processes and runs; by
            default they are kept in memory only.

    Raises:
        ArgumentError: an argument that would do nothing with another.
    """

    kind = "video"

    def __init__(
        self,
        backend: Literal["pyav", "cv2", "opencv", "decord"] = "pyav",
        seek: Seek = "none",
        index_folder: str | None = None,
    ) -> None:
        if backend not in _SOURCES:
            raise ArgumentError(f'unknown backend "{backend}"; known: {", ".join(_SOURCES)}')
        if seek != "none" and backend != "pyav":
            raise ArgumentError(f"seek: {seek} is for backend pyav, not for {backend}")
        if index_folder is not None and seek != "exact":
            raise ArgumentError(f"index_folder is for seek: exact, not for seek: {seek}")
        self.backend = backend
        self.seek = seek
        self._indexes = IndexCache(index_folder)

    def open(self, sample: Sample) -> FrameSource:
        """Open the sample's video; raise `DataError` when it cannot be read."""
        media = sample.media or FileMedia(sample.path)
        if self.seek == "none":
            return _SOURCES[self.backend](media)
        with decoding_errors(media.name):
            media.check()
        if self.seek == "approximate":
            return open_approximate(media)
        return open_exact(media, self._indexes)
