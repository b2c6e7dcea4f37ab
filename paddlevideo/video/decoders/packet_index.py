"""`PacketIndex`: the frames of a file by its packets, without decoding one; and where it is kept.

Reading packets costs a hundredth of decoding them. Each packet of the codecs and containers below
gives one frame, with the packet's own timestamp; so packets tell how many frames there are, when
each is shown, and from which key frame on it can be decoded. Of other files, and of those with
signs of damage, there is no index: they are decoded whole.
"""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from paddlevideo.utils.files import atomic_write
from paddlevideo.video.decoders.packets import check_count
from paddlevideo.video.decoders.times import FrameTimes
from paddlevideo.video.media import Media, MediaKey, as_media

logger = logging.getLogger(__name__)

# One packet, one frame. Not VP8, whose packets may hold frames that are never shown.
_CODECS = ("h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1")
_CONTAINERS = ("mov", "mp4", "matroska", "webm", "avi")
_LENGTH_BYTES = 4  # in front of each part of an H.264 or H.265 packet in MP4 and Matroska
_VERSION = 1


@dataclass(frozen=True)
class PacketIndex:
    """What the packets of one video stream say.

    Attributes:
        times_seconds: of the frames in the order in which they are shown, as `FrameTimes` counts,
            float64 [N].
        pts: their timestamps, in the stream's units, int64 [N].
        decode_pts: the timestamps in the order of decoding, int64 [P]; more than N where an edit
            list leaves frames out.
        keys: places in ``decode_pts`` of the key frames, int64 [K], ascending.
        rate: average frames per second by the header; None where it does not say.
    """

    times_seconds: np.ndarray
    pts: np.ndarray
    decode_pts: np.ndarray
    keys: np.ndarray
    rate: float | None

    @property
    def num_frames(self) -> int:
        """N."""
        return len(self.pts)

    def key_of(self, number: int) -> int:
        """The place in ``decode_pts`` of the last key frame shown no later than frame ``number``.

        Decoding begins there. A frame that is decoded behind a key frame and shown before it may
        need the one before; so the key frame's own time decides.
        """
        usable = self.keys[self.decode_pts[self.keys] <= self.pts[number]]
        return int(usable[-1]) if len(usable) else 0


def may_be_indexed(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """Whether each packet of such a stream gives one frame."""
    names = container.format.name.split(",")
    if "avi" in names and stream.codec_context.has_b_frames:
        return False  # AVI tells when packets are decoded, not when frames are shown
    return stream.codec_context.name in _CODECS and any(name in _CONTAINERS for name in names)


def read_packets(
    container: av.container.InputContainer, stream: av.VideoStream, path: str
) -> list[av.Packet] | None:
    """Return all packets in the order of decoding; None if one of them looks damaged.

    Raises:
        DataError: too many.
        Exception: whatever PyAV raises about a broken container.
    """
    looks_whole = _how_to_look(stream)
    packets = []
    count = 0
    for packet in container.demux(stream):
        if not packet.size:
            count += packet.dts is not None
            continue
        count += 1
        check_count(path, count)
        if packet.pts is None or packet.is_corrupt or not looks_whole(packet):
            return None
        packets.append(packet)
    stamps = [packet.pts for packet in packets]
    if "avi" in container.format.name.split(",") and stamps != sorted(stamps):
        return None
    listed = max(stream.frames, len(stream.index_entries))
    return None if listed > count else packets


def index_of(packets: list[av.Packet], stream: av.VideoStream, path: str) -> PacketIndex | None:
    """Make the index of a stream's packets; None if they cannot be told apart by time."""
    decode_pts: np.ndarray = np.array([packet.pts for packet in packets], np.int64)
    shown = np.array([not packet.is_discard for packet in packets], bool)
    keys = np.flatnonzero([packet.is_keyframe for packet in packets])
    if not shown.any() or not len(keys) or len(np.unique(decode_pts)) < len(decode_pts):
        return None
    pts = np.sort(decode_pts[shown])
    numerator, denominator = stream.time_base.as_integer_ratio()
    rate = float(stream.average_rate) if stream.average_rate else None
    times = FrameTimes(path, None)
    seconds = [times.at(stamp * numerator / denominator, rate) for stamp in pts.tolist()]
    return PacketIndex(np.array(seconds, np.float64), pts, decode_pts, keys, rate)


def _how_to_look(stream: av.VideoStream) -> Callable[[av.Packet], bool]:
    """A cheap look at a packet of the stream's codec: what was overwritten seldom passes it."""
    context = stream.codec_context
    extradata = bytes(context.extradata or b"")
    if context.name in ("h264", "hevc") and extradata[:1] == b"\x01":
        at = 4 if context.name == "h264" else 21
        if len(extradata) > at and extradata[at] & 3 == _LENGTH_BYTES - 1:
            return _parts_fill_it
    begins = {"mjpeg": b"\xff\xd8", "mpeg4": b"\x00\x00\x01"}.get(context.name, b"")
    return lambda packet: _begins_well(packet, begins)


def _begins_well(packet: av.Packet, begins: bytes) -> bool:
    head = bytes(memoryview(packet)[:8])
    return head.startswith(begins) and any(head)


def _parts_fill_it(packet: av.Packet) -> bool:
    """Whether the lengths in front of the packet's parts add up to its size."""
    data = memoryview(packet)
    size, at = len(data), 0
    while at + _LENGTH_BYTES < size:
        length = int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
        if not length:
            return False
        at += _LENGTH_BYTES + length
    return at == size


class IndexCache:
    """Indexes of the videos that were opened last, in memory and, if asked for, in a folder.

    An index is of one key (`Media.key`): of a file that changed it is made anew. Of a video without
    a key none is kept.

    Args:
        folder: where they are kept for other processes and runs; None: nowhere.
        most_frames: of all indexes in memory together; 24 bytes each.
    """

    def __init__(self, folder: str | None = None, most_frames: int = 4_000_000) -> None:
        self._folder = folder
        self._most_frames = most_frames
        self._kept: OrderedDict[MediaKey, PacketIndex | None] = OrderedDict()
        self._frames = 0

    def get(self, video: str | Media) -> tuple[bool, PacketIndex | None]:
        """Return whether the video is known, and its index: None if it has to be decoded whole."""
        key = as_media(video).key
        if key is None:
            return False, None
        if key in self._kept:
            self._kept.move_to_end(key)
            return True, self._kept[key]
        file = self._file(key)
        index = None if file is None else _load(file)
        if index is None:
            return False, None
        self._keep(key, index)
        return True, index

    def put(self, video: str | Media, index: PacketIndex | None) -> None:
        """Keep what was found out about a video."""
        key = as_media(video).key
        if key is None:
            return
        self._keep(key, index)
        file = self._file(key)
        if file is None:
            return
        if index is None:
            file.unlink(missing_ok=True)
        else:
            _save(file, index)

    def _keep(self, key: MediaKey, index: PacketIndex | None) -> None:
        self._forget(key)
        self._kept[key] = index
        self._frames += _cost(index)
        while self._frames > self._most_frames and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: MediaKey) -> None:
        if key in self._kept:
            self._frames -= _cost(self._kept.pop(key))

    def _file(self, key: MediaKey) -> Path | None:
        if self._folder is None:
            return None
        name = hashlib.sha256("\0".join(map(str, key)).encode("utf-8", "surrogateescape"))
        return Path(self._folder) / f"{name.hexdigest()[:32]}.npz"


def _cost(index: PacketIndex | None) -> int:
    """Frames, and some for the entry itself."""
    return 32 + (0 if index is None else index.num_frames)


def _save(file: Path, index: PacketIndex) -> None:
    """Write the index; a folder that cannot be written to costs nothing but time."""
    try:
        with atomic_write(file) as stream:
            np.savez(
                stream,
                version=np.int64(_VERSION),
                times_seconds=index.times_seconds,
                pts=index.pts,
                decode_pts=index.decode_pts,
                keys=index.keys,
                rate=np.float64(index.rate or 0.0),
            )
    except OSError as error:
        logger.warning("%s: the index cannot be kept: %s", file, error.strerror or error)


def _load(file: Path) -> PacketIndex | None:
    """Read an index; None if there is none, or it is damaged or of another version."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            if int(arrays["version"]) != _VERSION:
                return None
            index = PacketIndex(
                np.asarray(arrays["times_seconds"], np.float64),
                np.asarray(arrays["pts"], np.int64),
                np.asarray(arrays["decode_pts"], np.int64),
                np.asarray(arrays["keys"], np.int64),
                float(arrays["rate"]) or None,
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    return index if all(_checks(index)) else None


def _checks(index: PacketIndex) -> Iterator[bool]:
    """Whether the arrays fit together."""
    frames, packets = len(index.pts), len(index.decode_pts)
    yield index.times_seconds.shape == index.pts.shape == (frames,)
    yield index.keys.ndim == index.decode_pts.ndim == 1
    yield 0 < frames <= packets
    yield bool(len(index.keys)) and 0 <= index.keys.min() and index.keys.max() < packets
    yield bool(np.all(np.diff(index.pts) > 0)) and bool(np.all(np.diff(index.times_seconds) >= 0))
