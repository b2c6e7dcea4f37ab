"""`NetworkFeed`: a stream from the network, connected again when it is lost."""

import logging
import threading
import time
from collections.abc import Iterator

import av

from paddlevideo.apps.sources.frames import TimedFrame, timed_frames
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.source_names import public_name, without_secrets
from paddlevideo.video.decoders import reason
from paddlevideo.video.decoders.packets import VideoFrames
from paddlevideo.video.decoders.times import FrameTimes

logger = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.25
_ENDED = "the stream ended"
_LONGEST_WAIT_SECONDS = 4.0
# Over TCP: UDP's lost packets are broken pictures. FFmpeg's other protocols ignore the option.
_OPTIONS = {"rtsp_transport": "tcp"}
# What is a lost connection and no damaged packet.
_LOSSES = (OSError, av.error.ExitError, av.error.HTTPError)


class NetworkFeed:
    """Frames of a URL: ``rtsp://``, ``http://`` and whatever else FFmpeg opens.

    An http(s) container that tells its length is a recording: it is read as a file is, every frame
    of it. All else is live. When a live stream ends or is silent for ``timeout_seconds`` it is
    connected again, after 0.25 s, 0.5 s, 1 s, ... 4 s; its times go on by the clock on the wall.
    Damaged packets are skipped and counted; only many in a row end a connection.

    Args:
        stated_rate: frames per second of frames without timestamps; None: unknown.
        timeout_seconds: longest silence, when connecting and later.
        reconnect_seconds: how long to try to get a lost stream back; 0: its end is the end.

    Raises (while iterated):
        DataError: the first connection fails, or the stream is lost and does not come back.
    """

    is_live = True

    def __init__(
        self, url: str, stated_rate: float | None, timeout_seconds: float, reconnect_seconds: float
    ) -> None:
        self._url = url
        self._name = public_name(url)  # messages name it without passwords
        self._lost_before = 0  # frames that earlier connections lost
        self._frames: VideoFrames | None = None
        self._stated_rate = stated_rate
        self._timeout_seconds = timeout_seconds
        self._reconnect_seconds = reconnect_seconds
        self._stopped = threading.Event()
        self._num_frames = 0
        self._last_seconds = 0.0
        self._started: float | None = None
        self._lost_since = 0.0
        self._tries = 0
        self._wait_seconds = _FIRST_WAIT_SECONDS

    @property
    def frames_lost(self) -> int:
        """Frames that could not be decoded so far, over all connections."""
        return self._lost_before + (self._frames.frames_lost if self._frames is not None else 0)

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield the frames of one connection after the other."""
        while not self._stopped.is_set():
            before = self._num_frames
            why = _ENDED
            try:
                yield from self._connection()
            except DataError:
                raise
            except Exception as error:  # noqa: BLE001 - broken streams make PyAV raise anything
                why = self._words(error)
                if self._num_frames == 0:
                    raise DataError(f"{self._name}: cannot be read: {why}") from None
            if self._num_frames == 0:
                raise DataError(f"{self._name}: cannot be read: {why}")
            if not self.is_live or not self._reconnect_seconds:
                self._end(why)
                return
            if self._num_frames > before:
                self._begin_loss(why)
            self._wait_or_give_up(why)

    def _connection(self) -> Iterator[TimedFrame]:
        with av.open(
            self._url,
            metadata_errors="ignore",
            timeout=(self._timeout_seconds, self._timeout_seconds),
            options=_OPTIONS if self._url.lower().startswith("rtsp") else {},
        ) as container:
            if self._url.lower().startswith("http") and container.duration is not None:
                self.is_live = False
            start = 0.0
            if self._started is not None and self.is_live:
                start = max(time.perf_counter() - self._started, self._last_seconds)
            times = FrameTimes(self._name, self._stated_rate, start)
            self._lost_before, self._frames = self.frames_lost, None
            self._frames = VideoFrames(container, self._name, times, ends=_LOSSES)
            for frame in timed_frames(self._frames):
                self._started = self._started or time.perf_counter()
                self._num_frames += 1
                self._last_seconds = max(self._last_seconds, frame.time_seconds)
                yield frame
                if self._stopped.is_set():
                    return

    def _end(self, why: str) -> None:
        """The end of a recording, or of a stream that is not connected again."""
        if why != _ENDED:
            logger.warning("%s: %s; the frames before it are used", self._name, why)
        if self._frames is None:
            return
        if not self.is_live:
            self._frames.check_losses()
        if self._frames.damage:
            logger.warning("%s: %s", self._name, self._frames.losses())

    def _begin_loss(self, why: str) -> None:
        logger.warning("%s: %s; connecting again", self._name, why)
        self._lost_since = time.perf_counter()
        self._tries = 0
        self._wait_seconds = _FIRST_WAIT_SECONDS

    def _wait_or_give_up(self, why: str) -> None:
        gone = time.perf_counter() - self._lost_since
        if gone + self._wait_seconds > self._reconnect_seconds:
            raise DataError(
                f"{self._name}: lost after {self._num_frames} frames and not back in {gone:.0f} s "
                f"and {self._tries} tries: {why}; --reconnect states a longer time to try"
            )
        self._stopped.wait(self._wait_seconds)
        self._tries += 1
        self._wait_seconds = min(2 * self._wait_seconds, _LONGEST_WAIT_SECONDS)

    def _words(self, error: Exception) -> str:
        if isinstance(error, av.error.ExitError):  # PyAV's timeout interrupts FFmpeg with this
            return f"nothing came for {self._timeout_seconds:g} s"
        return without_secrets(reason(error), self._url)[:300]

    def stop(self) -> None:
        """End the waiting for a lost stream."""
        self._stopped.set()
