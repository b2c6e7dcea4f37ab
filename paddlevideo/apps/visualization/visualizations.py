"""Visualizations of a stream while it runs: a video with its best classes, a plot over time."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from paddlevideo.apps.visualization.onward_time import OnwardTime
from paddlevideo.apps.visualization.overlay import Overlay
from paddlevideo.apps.visualization.stream_history import StreamHistory
from paddlevideo.apps.visualization.timeline_plot import timeline_png
from paddlevideo.runtime.class_scores import ClassScore, best_classes
from paddlevideo.runtime.streams.timeline import StreamResult
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.utils.files import atomic_write
from paddlevideo.utils.interrupts import interrupts_held
from paddlevideo.utils.packages import require_packages
from paddlevideo.video.video_writer import (
    VideoWriter,
    check_video_path,
    find_h264_encoder,
)

logger = logging.getLogger(__name__)

_SHOWN = 5


class Visualization(Protocol):
    """Receives every frame of a stream, and shows it or leaves a file."""

    def add(
        self, picture: Callable[[], np.ndarray], time_seconds: float, result: StreamResult | None
    ) -> None:
        """Note a frame.

        Args:
            picture: gives the frame, uint8 RGB [H, W, 3].
            result: of this frame; None: the model has not seen it.
        """
        ...

    def finish(self) -> None:
        """Write the file, if there was a frame."""
        ...


class OverlayVideo:
    """Every frame at its own time with the best five classes so far.

    Args:
        path: .mp4, .mkv or .mov; in place when `finish` is through.
        labels: of all classes, where they are known.

    Raises:
        ConfigError: not such a name.
        DataError: no file can be there.
        DeviceError: there is no H.264 encoder.
    """

    def __init__(self, path: Path, labels: Sequence[str] | None) -> None:
        check_video_path(path)
        _check_writable(path)
        find_h264_encoder()
        self._path, self._labels = path, labels
        self._onward = OnwardTime()
        self._top: tuple[ClassScore, ...] = ()
        self._parts: tuple[Overlay, VideoWriter] | None = None

    def add(
        self, picture: Callable[[], np.ndarray], time_seconds: float, result: StreamResult | None
    ) -> None:
        """Write a frame, with the newest result on it; none before the first result."""
        if result is not None:
            self._top = best_shown(result, self._labels)
        onward = self._onward(time_seconds)
        if onward is None or not self._top:
            return
        # Half of a frame must not go into the encoder.
        with interrupts_held():
            frame_HWC = picture()
            overlay, writer = self._parts or self._begin(frame_HWC)
            writer.write(overlay.draw(frame_HWC, self._top, onward), onward)

    def _begin(self, frame_HWC: np.ndarray) -> tuple[Overlay, VideoWriter]:
        height, width = frame_HWC.shape[:2]
        overlay = Overlay((width, height), len(self._top), tuple(self._labels or ()))
        self._parts = overlay, VideoWriter(self._path, overlay.size)
        return self._parts

    def finish(self) -> None:
        """Put the video of what was seen in place."""
        if self._parts is None or not self._parts[1].is_open:
            return
        with interrupts_held():
            self._parts[1].close()
        logger.info("the video with the results is %s", self._path)


class TimelinePlot:
    """The best five classes over time.

    Args:
        path: .png; written by `finish`.
        labels: of all classes, where they are known.
        title: the source's name.

    Raises:
        ConfigError: not such a name.
        DataError: no file can be there.
        DeviceError: matplotlib is missing.
    """

    def __init__(self, path: Path, labels: Sequence[str] | None, title: str) -> None:
        if path.suffix.lower() != ".png":
            raise ConfigError(f"{path}: expected a name that ends in .png")
        require_packages(f"the plot {path}", "matplotlib")
        _check_writable(path)
        self._path, self._labels, self._title = path, labels, title
        self._history: StreamHistory | None = None

    def add(
        self, picture: Callable[[], np.ndarray], time_seconds: float, result: StreamResult | None
    ) -> None:
        """Note the probabilities, where the model has seen the frame."""
        if result is None or result.probabilities is None:
            return
        if self._history is None:
            self._history = StreamHistory(len(result.probabilities))
        self._history.add(time_seconds, result.probabilities, picture())

    def finish(self) -> None:
        """Draw what was seen."""
        if self._history is None:
            return
        with interrupts_held():
            png = timeline_png(self._history, self._labels, self._title, _SHOWN)
            try:
                with atomic_write(self._path) as file:
                    file.write(png)
            except OSError as error:
                raise DataError(f"{self._path} cannot be written: {error.strerror}") from None
        logger.info("the plot of the results is %s", self._path)


def best_shown(result: StreamResult, labels: Sequence[str] | None) -> tuple[ClassScore, ...]:
    """The classes that are shown, best first."""
    if result.probabilities is None:
        return result.top[:_SHOWN]
    return best_classes(result.probabilities, labels, _SHOWN)


def _check_writable(path: Path) -> None:
    """Refuse a path where there can be no file, before anything has run."""
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if path.is_dir():
        raise DataError(f"{path} cannot be written: it is a folder")
    if not folder.is_dir():
        raise DataError(f"{path} cannot be written: {folder} is no folder")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{path} cannot be written: there is no permission to write to {folder}")
