"""One pass over one video file: what it holds, what is damaged, and how its pictures look."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from paddlevideo.apps.own_videos.oddities import Oddity, Watch
from paddlevideo.utils.errors import DataError
from paddlevideo.video.decoders.containers import (
    decoding_errors,
    first_video_stream,
    open_file,
)
from paddlevideo.video.decoders.packets import ReadingTime, VideoFrames
from paddlevideo.video.decoders.times import FrameTimes
from paddlevideo.video.frame_choice import duration_seconds
from paddlevideo.video.media import FileMedia, Media

# Grey thumbnails of SIDE x SIDE pixels are the perceptual fingerprint of frames.
SIDE = 16
# Thumbnails of one file. A longer file has every second, fourth, ... frame: 2048 are 68 s of 30
# frames/s, and half a megabyte.
MOST_THUMBNAILS = 2048
_DIGEST_CHUNK_BYTES = 2**20
_HIGHEST_RATE = 1000.0


@dataclass(frozen=True)
class Fingerprint:
    """Thumbnails of frames at even times.

    Attributes:
        pictures: uint8 grey [T, SIDE, SIDE], upright; T is 0 for a file that cannot be read.
        times_seconds: float64 [T], never decreasing.
        first: the first two frames (one, where there is one).
        last: the last two frames.
    """

    pictures: np.ndarray
    times_seconds: np.ndarray
    first: np.ndarray
    last: np.ndarray


def no_fingerprint() -> Fingerprint:
    """The fingerprint of a file without frames."""
    none: np.ndarray = np.empty((0, SIDE, SIDE), np.uint8)
    return Fingerprint(none, np.empty(0), none, none)


@dataclass(frozen=True)
class FileScan:
    """What one file holds.

    Attributes:
        path: the file.
        reason: why it cannot be used; empty if it can be.
        duration_seconds: from the first frame to the end of the last; 0 for a single frame.
        frame_rate: average frames per second; 0 where nothing tells.
        width, height: of the first frame, upright, in pixels.
        frames_read, frames_lost: decoded, and in the file but damaged.
        damage: in words, empty where nothing is lost.
        digest: SHA-256 of the file's bytes, hexadecimal; empty where it cannot be read.
        num_bytes: its size; None where it is not there.
        has_video: False where it was opened, and has no pictures (sound only).
        container, codec, pixel_format: by FFmpeg's names; empty where it cannot be read.
        oddities: what is unusual about it.
        fingerprint: how its frames look.
    """

    path: Path
    reason: str = ""
    duration_seconds: float = 0.0
    frame_rate: float = 0.0
    width: int = 0
    height: int = 0
    frames_read: int = 0
    frames_lost: int = 0
    damage: str = ""
    digest: str = ""
    num_bytes: int | None = None
    has_video: bool = True
    container: str = ""
    codec: str = ""
    pixel_format: str = ""
    oddities: tuple[Oddity, ...] = ()
    fingerprint: Fingerprint = field(default_factory=no_fingerprint, repr=False, compare=False)

    @property
    def is_usable(self) -> bool:
        """Whether the file can be trained from."""
        return not self.reason


def scan_file(path: Path) -> FileScan:
    """Decode a file once; see `scan_media`."""
    return scan_media(path, FileMedia(str(path)))


def scan_media(path: Path, media: Media) -> FileScan:
    """Decode a video once, all of it: only that tells how many frames are lost.

    Never raises for the video's sake: what is wrong is in ``reason``.

    Args:
        path: under which it is listed.
        media: its bytes.
    """
    digest = ""
    num_bytes = None
    try:
        with contextlib.suppress(OSError, ValueError):
            num_bytes = media.num_bytes
        media.check()
        with decoding_errors(str(path), "cannot be read"):
            digest = _digest_of(media)
        with decoding_errors(str(path)), open_file(media) as container:
            scan = _scan_frames(path, container, digest, media)
            return replace(scan, num_bytes=num_bytes)
    except DataError as error:
        reason = _without_name(str(error), path)
        return FileScan(path, reason=reason, digest=digest, num_bytes=num_bytes)
    except (OSError, ValueError) as error:  # a name or a link that the file system refuses
        return FileScan(path, reason=f"cannot be read: {str(error)[:200]}")


def _without_name(message: str, path: Path) -> str:
    return message.removeprefix(f"{path}: ")


def _digest_of(media: Media) -> str:
    digest = hashlib.sha256()
    with media.open() as file:
        while chunk := file.read(_DIGEST_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _scan_frames(
    path: Path, container: av.container.InputContainer, digest: str, media: Media
) -> FileScan:
    name = str(path)
    stream = first_video_stream(container)
    if stream is None:
        reason = "there is no video stream in it"
        return FileScan(path, reason, digest=digest, has_video=False)
    frames = VideoFrames(container, name, FrameTimes(name, None), ReadingTime(media))
    thumbnails, watch = _Thumbnails(), Watch(container, stream, path)
    size = 0, 0
    times_seconds: list[float] = []
    for frame, seconds in frames:
        if not times_seconds:
            is_turned = round(frame.rotation / 90) % 2 == 1
            size = (frame.height, frame.width) if is_turned else (frame.width, frame.height)
        thumbnails.add(frame, seconds)
        watch.add(frame)
        times_seconds.append(seconds)
    reason = ""
    try:
        frames.check_losses()
    except DataError as error:
        reason = _without_name(str(error), path)
    times_T: np.ndarray = np.array(times_seconds, np.float64)
    is_read = not reason
    return FileScan(
        path,
        reason,
        duration_seconds=duration_seconds(times_T) if is_read else 0.0,
        frame_rate=_frame_rate(frames.rate, times_T) if is_read else 0.0,
        width=size[0],
        height=size[1],
        frames_read=frames.frames_read,
        frames_lost=frames.frames_lost,
        damage=_without_name(frames.losses(), path) if frames.frames_lost else "",
        digest=digest,
        container=watch.container,
        codec=watch.codec,
        pixel_format=watch.pixel_format,
        oddities=watch.found(times_T, frames.frames_lost) if is_read else (),
        fingerprint=thumbnails.fingerprint() if is_read else no_fingerprint(),
    )


def _frame_rate(stated: float | None, times_seconds_T: np.ndarray) -> float:
    if stated is not None and 0 < stated <= _HIGHEST_RATE:
        return stated
    span = float(times_seconds_T[-1] - times_seconds_T[0])
    return (len(times_seconds_T) - 1) / span if span > 0 else 0.0


class _Thumbnails:
    """Collects the thumbnails of one file's frames, twice as far apart whenever there are many."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._step = 1
        self._count = 0
        self._kept: list[tuple[float, np.ndarray]] = []
        self._first: list[np.ndarray] = []
        self._last: list[av.VideoFrame] = []

    def add(self, frame: av.VideoFrame, seconds: float) -> None:
        """Take a frame, shown at ``seconds``."""
        if self._count % self._step == 0:
            if len(self._kept) == MOST_THUMBNAILS:
                self._kept = self._kept[::2]
                self._step *= 2
            if self._count % self._step == 0:
                self._kept.append((seconds, self._thumbnail(frame)))
        if len(self._first) < 2:
            self._first.append(self._thumbnail(frame))
        self._last = [*self._last[-1:], frame]
        self._count += 1

    def fingerprint(self) -> Fingerprint:
        """What has been collected."""
        return Fingerprint(
            _stack(thumbnail for _, thumbnail in self._kept),
            np.array([seconds for seconds, _ in self._kept], np.float64),
            _stack(iter(self._first)),
            _stack(self._thumbnail(frame) for frame in self._last),
        )

    def _thumbnail(self, frame: av.VideoFrame) -> np.ndarray:
        grey_HW = self._reformatter.reformat(
            frame, SIDE, SIDE, format="gray", interpolation="AREA"
        ).to_ndarray()
        turned_HW: np.ndarray = np.rot90(grey_HW, round(frame.rotation / 90) % 4)
        return turned_HW


def _stack(pictures: Iterator[np.ndarray]) -> np.ndarray:
    listed = list(pictures)
    return np.stack(listed) if listed else np.empty((0, SIDE, SIDE), np.uint8)
