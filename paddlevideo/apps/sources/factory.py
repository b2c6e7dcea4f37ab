"""`open_source`: frames of a file, a camera, a URL or a pipe, read in a thread of their own."""

import logging
import math
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.apps.sources.feeds import CameraFeed, ContainerFeed, Feed, RawFeed
from paddlevideo.apps.sources.frames import TimedFrame
from paddlevideo.apps.sources.network import NetworkFeed
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.source_names import public_name
from paddlevideo.video.decoders.base import check_is_file
from paddlevideo.video.decoders.containers import open_file, open_pipe
from paddlevideo.video.decoders.packets import ReadingTime

logger = logging.getLogger(__name__)

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_PIPE = "-"
# Decoded frames that wait take no more than this and one frame: 8 of 4K are 100 MB.
_MOST_WAITING_BYTES = 256 * 2**20


@dataclass(frozen=True)
class SourceOptions:
    """How a source is read.

    Attributes:
        frame_size: (width, height): raw rgb24 frames come through the pipe; or what a camera is to
            give.
        frame_rate: frames per second of frames without timestamps; or what a camera is to give.
        live: drop old frames instead of lagging; None: cameras and live streams do, files and
            pipes do not.
        timeout_seconds: longest silence of a network source.
        reconnect_seconds: how long to try to get a lost network source back.
        max_seconds: end there.
        buffer_frames: decoded frames that wait at most.
    """

    frame_size: tuple[int, int] | None = None
    frame_rate: float | None = None
    live: bool | None = None
    timeout_seconds: float = 10.0
    reconnect_seconds: float = 30.0
    max_seconds: float | None = None
    buffer_frames: int = 8

    def __post_init__(self) -> None:
        for name in ("frame_rate", "timeout_seconds", "max_seconds"):
            value = vars(self)[name]
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} is {value}, expected a number above 0")
        if self.frame_size is not None and min(self.frame_size) < 1:
            raise ConfigError(f"frame_size is {self.frame_size}, expected two numbers above 0")
        if self.buffer_frames < 1:
            raise ConfigError(f"buffer_frames is {self.buffer_frames}, expected at least 1")


class FrameReader:
    """Reads a feed in its own thread, a few frames ahead.

    A live feed never waits: while nobody takes its frames, the oldest are dropped and counted. Any
    other waits, and gives every frame.

    Attributes:
        frames_read: frames that were decoded.
        frames_dropped: of these, the ones that nobody took in time.
        frames_lost: frames that could not be decoded, besides those that were read.
    """

    def __init__(self, feed: Feed, options: SourceOptions) -> None:
        self.frames_read = 0
        self.frames_dropped = 0
        self._feed = feed
        self._options = options
        self._waiting: deque[TimedFrame] = deque()
        self._changed = threading.Condition()
        self._is_over = False
        self._error: Exception | None = None
        self._first_arrival: float | None = None
        # A daemon: a read from a silent pipe cannot be woken, and must not hold up the exit.
        self._thread = threading.Thread(target=self._read, name="frames", daemon=True)

    @property
    def frames_lost(self) -> int:
        """Frames that could not be decoded, besides those that were read."""
        return self._feed.frames_lost

    @property
    def is_live(self) -> bool:
        """Whether old frames are dropped instead of lagging."""
        live = self._options.live
        return self._feed.is_live if live is None else live

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield the frames; leaving the loop ends the reading.

        Raises:
            DataError: the source cannot be opened or read.
        """
        self._thread.start()
        try:
            while (frame := self._take()) is not None:
                yield frame
        finally:
            self.close()

    def _take(self) -> TimedFrame | None:
        with self._changed:
            while not self._waiting and not self._is_over:
                if self._is_late():
                    return None
                self._changed.wait(0.2)
            if self._waiting:
                frame = self._waiting.popleft()
                self._changed.notify_all()
                limit = self._options.max_seconds
                return None if limit is not None and frame.time_seconds >= limit else frame
        if self._error is not None:
            raise self._error
        return None

    def _is_late(self) -> bool:
        """Whether a live source was to have ended by the clock on the wall."""
        limit, first = self._options.max_seconds, self._first_arrival
        if limit is None or first is None or not self.is_live:
            return False
        return time.perf_counter() - first >= limit

    def _read(self) -> None:
        try:
            for frame in self._feed:
                if not self._put(frame):
                    break
        except Exception as error:  # noqa: BLE001 - raised where the frames are taken
            self._error = error
            return
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _put(self, frame: TimedFrame) -> bool:
        with self._changed:
            self.frames_read += 1
            self._first_arrival = self._first_arrival or frame.arrived
            while self._is_full() and not self._is_over:
                if self.is_live:
                    self._waiting.popleft()
                    self.frames_dropped += 1
                else:
                    self._changed.wait(0.2)
            if not self._is_over:
                self._waiting.append(frame)
                self._changed.notify_all()
            return not self._is_over

    def _is_full(self) -> bool:
        num_bytes = sum(frame.num_bytes for frame in self._waiting)
        return len(self._waiting) >= self._options.buffer_frames or num_bytes > _MOST_WAITING_BYTES

    def close(self) -> None:
        """End the reading. A thread that waits for a silent source is left to itself."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._feed.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout=1.0)


def open_source(source: str | Path, options: SourceOptions | None = None) -> FrameReader:
    """Return a reader of the frames of ``source``; what needs waiting happens when it is iterated.

    Args:
        source: a video file; the number of a camera; a URL; or ``-``: a video through the standard
            input, of any container that FFmpeg reads without seeking, or raw frames where
            ``frame_size`` is given.

    Raises:
        DataError: no such file or camera.
        ConfigError: options that do not belong to such a source.
    """
    options = options or SourceOptions()
    return FrameReader(_feed(str(source), options), options)


def _feed(source: str, options: SourceOptions) -> Feed:
    if source == _PIPE:
        if options.frame_size is not None:
            return RawFeed("standard input", sys.stdin.buffer, options.frame_size,
                           options.frame_rate)  # fmt: skip
        return ContainerFeed("standard input", open_pipe, options.frame_rate)
    if source.isdigit() and not Path(source).exists():
        return CameraFeed(int(source), _camera_options(options))
    if options.frame_size is not None:
        raise ConfigError(
            f"a frame size is stated for {public_name(source)}; it is for raw frames "
            "through a pipe (-) and for cameras"
        )
    if source.lower().startswith("file://"):
        source = source[len("file://") :]
    elif _URL.match(source):
        return NetworkFeed(
            source, options.frame_rate, options.timeout_seconds, options.reconnect_seconds
        )
    check_is_file(source)
    return ContainerFeed(source, lambda: open_file(source), options.frame_rate, ReadingTime(source))


def _camera_options(options: SourceOptions) -> dict[str, str]:
    asked: dict[str, str] = {}
    if options.frame_size is not None:
        asked["video_size"] = f"{options.frame_size[0]}x{options.frame_size[1]}"
    if options.frame_rate is not None:
        asked["framerate"] = f"{options.frame_rate:g}"
    return asked
