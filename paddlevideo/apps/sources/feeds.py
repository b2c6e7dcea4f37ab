"""Feeds: where frames come from. Each is iterated once, in the thread of a `FrameReader`."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

import av
import numpy as np

from paddlevideo.apps.sources.frames import TimedFrame, timed_frames
from paddlevideo.utils.errors import DataError, DeviceError
from paddlevideo.video.decoders.containers import decoding_errors
from paddlevideo.video.decoders.packets import ReadingTime, VideoFrames
from paddlevideo.video.decoders.times import DEFAULT_FRAME_RATE, FrameTimes

logger = logging.getLogger(__name__)


class Feed(Protocol):
    """A source of frames.

    Attributes:
        is_live: frames that are not read in time are old and may be dropped. Known at the latest
            when the first frame comes.
        frames_lost: frames that could not be decoded so far.
    """

    is_live: bool

    @property
    def frames_lost(self) -> int:
        """Frames that could not be decoded so far."""
        ...

    def __iter__(self) -> Iterator[TimedFrame]:
        """Open it and yield its frames."""
        ...

    def stop(self) -> None:
        """Ask for an end; called by another thread."""
        ...


class ContainerFeed:
    """A file, or what comes through a pipe: any container that FFmpeg reads.

    Damaged packets are skipped and counted, with a warning at the end.

    Args:
        name: for messages.
        open_container: opens it.
        stated_rate: frames per second of frames without timestamps; None: unknown.
        reading_time: of a local file: how long it may be decoded.

    Raises (while iterated):
        DataError: it cannot be opened, not one frame decodes, most are lost, or a limit is passed.
    """

    is_live = False

    def __init__(
        self,
        name: str,
        open_container: Callable[[], av.container.InputContainer],
        stated_rate: float | None,
        reading_time: ReadingTime | None = None,
    ) -> None:
        self._name = name
        self._open = open_container
        self._stated_rate = stated_rate
        self._reading_time = reading_time
        self._frames: VideoFrames | None = None

    @property
    def frames_lost(self) -> int:
        """Frames that could not be decoded so far."""
        return self._frames.frames_lost if self._frames is not None else 0

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield every frame that decodes, in order."""
        with decoding_errors(self._name), self._open() as container:
            times = FrameTimes(self._name, self._stated_rate)
            frames = VideoFrames(container, self._name, times, self._reading_time)
            self._frames = frames
            yield from timed_frames(frames)
            frames.check_losses()
            if frames.damage:
                logger.warning("%s: %s; the others are used", self._name, frames.losses())

    def stop(self) -> None:
        """Nothing waits here for long."""


class CameraFeed(ContainerFeed):
    """A camera of this machine, by its number; live.

    Args:
        options: of FFmpeg's device: ``video_size``, ``framerate``.

    Raises:
        DataError: there is no such camera.
        DeviceError: cameras cannot be named by number on this system.
    """

    is_live = True

    def __init__(self, number: int, options: dict[str, str]) -> None:
        if sys.platform.startswith("linux"):
            path = Path(f"/dev/video{number}")
            if not path.exists():
                found = ", ".join(sorted(str(p) for p in Path("/dev").glob("video*"))) or "none"
                raise DataError(f"camera {number}: there is no {path}; cameras here: {found}")
            file, kind = str(path), "v4l2"
        elif sys.platform == "darwin":
            file, kind = str(number), "avfoundation"
        else:
            raise DeviceError(
                f"camera {number}: a camera is named by number on Linux and macOS only"
            )
        super().__init__(
            f"camera {number}",
            lambda: av.open(file, format=kind, options=options, timeout=10.0),
            None,
        )


class RawFeed:
    """Raw frames through a pipe: rgb24, row by row, nothing in between.

    Args:
        file: to read from.
        frame_size: (width, height).
        frame_rate: frames per second; None: 25, with a warning.
    """

    is_live = False
    frames_lost = 0

    def __init__(
        self, name: str, file: IO[bytes], frame_size: tuple[int, int], frame_rate: float | None
    ) -> None:
        self._name = name
        self._file = file
        self._frame_size = frame_size
        if frame_rate is None:
            logger.warning(
                "%s: raw frames have no timestamps; taken as %g frames/s (--frame_rate states "
                "another)",
                name,
                DEFAULT_FRAME_RATE,
            )
        self._frame_rate = frame_rate or DEFAULT_FRAME_RATE

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yield frames until the end; part of a frame at the end is left out, with a warning."""
        width, height = self._frame_size
        size = width * height * 3
        count = 0
        while len(data := self._file.read(size)) == size:
            image_HWC = np.frombuffer(data, np.uint8).reshape(height, width, 3)
            yield TimedFrame(count / self._frame_rate, _give(image_HWC))
            count += 1
        if data:
            logger.warning(
                "%s: %d bytes behind frame %d are no whole frame of %dx%d; left out",
                self._name,
                len(data),
                count,
                width,
                height,
            )
        if count == 0:
            raise DataError(
                f"{self._name}: not one frame of {width}x{height} ({size} bytes of rgb24) came"
            )

    def stop(self) -> None:
        """Nothing can wake a pipe that waits."""


def _give(image_HWC: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: image_HWC
