"""Videos through PyAV by an index of their packets: only what the wanted frames need is decoded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import av
import numpy as np

from paddlevideo.utils.errors import DataError
from paddlevideo.video.decoders.base import FrameSource, IndexRefutedError
from paddlevideo.video.decoders.containers import decodable_stream, decoding_errors, open_file
from paddlevideo.video.decoders.packet_index import (
    IndexCache,
    PacketIndex,
    index_of,
    may_be_indexed,
    read_packets,
)
from paddlevideo.video.decoders.packets import ReadingTime
from paddlevideo.video.decoders.pyav import DecodedSource, PyAVSource
from paddlevideo.video.decoders.sizes import check_frame_size
from paddlevideo.video.media import Media, as_media

# Packets of a first reading are kept up to this size, so that it need not be done again.
_KEEP_BYTES = 16 * 2**20
# Codecs with frames that no other is made of, and that FFmpeg leaves out when told to.
_SKIPPING = ("h264", "hevc", "mpeg4")


def open_exact(video: str | Media, cache: IndexCache) -> FrameSource:
    """Open a video by its index; whole (`PyAVSource`) where it has none.

    Raises:
        DataError: as `PyAVSource`.
    """
    media = as_media(video)
    path = media.name
    with decoding_errors(path):
        known, index = cache.get(media)
    if known and index is None:
        return PyAVSource(media)
    if index is not None:
        return IndexedSource(media, index, cache)
    container = open_file(media)
    try:
        stream = decodable_stream(container, path, "in it")
        packets = _packets(container, stream, path)
        index = None if packets is None else index_of(packets, stream, path)
        cache.put(media, index)
        if index is None or packets is None:
            container.close()
            return PyAVSource(media)
        if sum(packet.size for packet in packets) > _KEEP_BYTES:
            container.close()
            return IndexedSource(media, index, cache)
        return IndexedSource(media, index, cache, (container, stream, packets))
    except BaseException:
        container.close()
        raise


def _packets(
    container: av.container.InputContainer, stream: av.VideoStream, path: str
) -> list[av.Packet] | None:
    if not may_be_indexed(container, stream):
        return None
    try:
        return read_packets(container, stream, path)
    except DataError:
        raise
    except Exception:  # noqa: BLE001 - a broken container raises anything; decoding will tell
        return None


_Opened = tuple[av.container.InputContainer, av.VideoStream, list[av.Packet]]


class IndexedSource(DecodedSource):
    """The first video stream of a file, by the index of its packets.

    The frames and their pixels are those of decoding from the beginning: decoding begins at the key
    frame that a wanted frame needs, and leaves out those that no wanted frame is made of. What
    comes is held against the index. Where it differs (damage), the index is given up and
    `IndexRefutedError` raised; damage in what is not decoded is not noticed.

    Args:
        media: the video.
        index: of its packets.
        cache: that the index came from.
        opened: the open container, its stream and all its packets, if they are at hand.
    """

    def __init__(
        self, media: Media, index: PacketIndex, cache: IndexCache, opened: _Opened | None = None
    ) -> None:
        self._media = media
        self.path = media.name
        self.times_seconds = index.times_seconds
        self.num_frames = index.num_frames
        self.fps = index.rate
        self._index = index
        self._cache = cache
        self._opened = opened
        self._place_of: dict[int, int] = {}
        self._reading_time = ReadingTime(media)

    def _wanted_frames(self, wanted: np.ndarray) -> Iterator[av.VideoFrame]:
        if self._opened is not None:
            container, stream, packets = self._opened
            yield from self._run(container, stream, wanted, packets)
            return
        with open_file(self._media) as container:
            stream = decodable_stream(container, self.path, "in it")
            yield from self._run(container, stream, wanted, None)

    def _run(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        wanted: np.ndarray,
        packets: Sequence[av.Packet] | None,
    ) -> Iterator[av.VideoFrame]:
        """Decode span by span; frames come as wanted, or the index is refuted."""
        for first_place, numbers in self._spans(wanted):
            if packets is None:
                span = self._from_file(container, stream, first_place)
            else:
                span = iter(packets[first_place:])
            stream.codec_context.flush_buffers()
            yield from self._decode_span(stream, span, self._index.pts[numbers].tolist())

    def _spans(self, wanted: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Groups of wanted frames that are decoded in one go: their first packet and numbers."""
        key_places = [self._index.key_of(number) for number in wanted.tolist()]
        keys = self._index.keys.tolist()
        begin = 0
        for end in range(1, len(wanted) + 1):
            # Go on where the next frame's key frame is the same or the next one: nothing to skip.
            if end < len(wanted):
                here = keys.index(key_places[end - 1]) if key_places[end - 1] in keys else 0
                following = keys[here + 1] if here + 1 < len(keys) else None
                if key_places[end] in (key_places[end - 1], following):
                    continue
            yield key_places[begin], wanted[begin:end]
            begin = end

    def _from_file(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        first_place: int,
    ) -> Iterator[av.Packet]:
        """The packets from a place in the order of decoding on."""
        if not self._place_of:
            places = enumerate(self._index.decode_pts.tolist())
            self._place_of = {pts: place for place, pts in places}
        place_of = self._place_of
        for target in (int(self._index.decode_pts[first_place]), None):
            # Some containers seek by decoding times, which are earlier: then from the beginning.
            container.seek(
                target if target is not None else int(self._index.decode_pts.min()),
                stream=stream,
                backward=True,
            )
            begun = False
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                place = place_of.get(packet.pts) if packet.pts is not None else None
                if place is None:
                    raise self._refuted(f"a packet of the time {packet.pts} is not in its index")
                if not begun and place > first_place:
                    break
                begun = True
                if place >= first_place:
                    yield packet
            if begun:
                return
        raise self._refuted("the key frame of its index is not found")

    def _decode_span(
        self, stream: av.VideoStream, packets: Iterator[av.Packet], stamps: list[int]
    ) -> Iterator[av.VideoFrame]:
        """Decode until all frames with these timestamps (ascending) have come."""
        context = stream.codec_context
        skips = context.name in _SKIPPING and bool(context.has_b_frames)
        wanted = set(stamps)
        remaining = iter(stamps)
        target = next(remaining)
        width = height = 0
        begin = time.perf_counter()
        for packet in self._and_the_rest(packets):
            if skips and packet is not None:
                context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            try:
                frames = context.decode(packet)
            except EOFError:
                frames = []
            except Exception as error:  # noqa: BLE001 - damaged packets raise nearly everything
                raise self._refuted(str(error)) from None
            self._reading_time.spend(time.perf_counter() - begin)
            for frame in frames:
                if frame.pts is None or frame.pts > target:
                    raise self._refuted(f"the frame of the time {target} does not come")
                if frame.pts < target:
                    continue
                if frame.width != width or frame.height != height:
                    width, height = frame.width, frame.height
                    check_frame_size(self.path, width, height)
                yield frame
                following = next(remaining, None)
                if following is None:
                    return
                target = following
            begin = time.perf_counter()
        raise self._refuted(f"the frame of the time {target} does not come")

    @staticmethod
    def _and_the_rest(packets: Iterator[av.Packet]) -> Iterator[av.Packet | None]:
        yield from packets
        yield None

    def _refuted(self, why: str) -> IndexRefutedError:
        self._cache.put(self._media, None)
        return IndexRefutedError(f"{self.path}: damaged: {why}")

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None
