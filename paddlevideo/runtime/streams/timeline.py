"""`StreamTimeline`: all of one stream but the network's states: time, window, cuts, smoothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from paddlevideo.runtime.class_scores import BestClass, ClassScore, best_classes
from paddlevideo.runtime.streams.frame_clock import ClockMark, FrameClock
from paddlevideo.runtime.streams.scene_cut import PICTURE_SHAPE, SceneCut
from paddlevideo.runtime.streams.session_options import StreamCounts, StreamOptions
from paddlevideo.runtime.streams.smoothing import Smoother
from paddlevideo.runtime.streams.snapshot_check import check_array
from paddlevideo.utils.errors import DataError

_ARRAYS = ("clock", "smooth_mean", "smooth_time", "window_start", "last_picture")

TimelineMark = tuple[ClockMark, np.ndarray | None, float | None, tuple[int, int, int]]
"""Where a stream is: the clock, the last picture, the window's start, and the counts."""

# A picture, uint8 RGB [H, W, 3], or what gives it if it is wanted.
Frame = np.ndarray | Callable[[], np.ndarray]


@dataclass(frozen=True)
class StreamResult(BestClass):
    """What a stream has shown so far.

    Attributes:
        time_seconds: timestamp of the newest frame seen.
        top: the classes, best first.
        latency_ms: from the frame's arrival to this result.
        probabilities: of all classes, [N]; None where they were not kept.
    """

    time_seconds: float
    top: tuple[ClassScore, ...]
    latency_ms: float
    probabilities: np.ndarray | None = field(default=None, compare=False, repr=False)

    def as_dict(self) -> dict[str, object]:
        """Plain values: one line of ``tools/predict.py --stream``."""
        line: dict[str, object] = {
            "time_seconds": round(self.time_seconds, 6),
            "label": self.label,
            "index": self.index,
            "score": self.score,
            "latency_ms": round(self.latency_ms, 3),
        }
        if len(self.top) > 1:
            line["top"] = [vars(item) for item in self.top]
        return line


@dataclass(frozen=True)
class Admission:
    """A frame that the model is to see.

    Attributes:
        frame: uint8 RGB [H, W, 3].
        time_seconds: its timestamp.
        starts_anew: the network's states are to be reset before it.
    """

    frame: np.ndarray
    time_seconds: float
    starts_anew: bool


class StreamTimeline:
    """Decides which frames of one stream are seen and where it starts anew; makes the results.

    Args:
        frame_rate: of the model, frames per second.
        labels: of the classes, where they are known.
        num_classes: a snapshot's smoothed answer must have; None: not known.
    """

    def __init__(
        self,
        frame_rate: float,
        labels: Sequence[str] | None,
        options: StreamOptions,
        num_classes: int | None = None,
    ) -> None:
        self._num_classes = num_classes
        self.counts = StreamCounts()
        self._labels = labels
        self._options = options
        self._clock = FrameClock(frame_rate)
        self._smoother = Smoother(options.smooth_seconds)
        self._cut = SceneCut(options.cut_threshold) if options.reset_on_cut else None
        self._window_start: float | None = None

    def admit(self, frame: Frame, timestamp: float | None) -> Admission | None:
        """Return how a frame is to be seen; None if it is left out to keep the frame rate.

        Raises:
            DataError: the frame is not uint8 RGB [H, W, 3], or its timestamp not a number.
        """
        if not callable(frame):
            _check_frame(frame)
        time_seconds = self._clock.take(timestamp)
        self.counts.frames += 1
        if time_seconds is None:
            self.counts.skipped += 1
            return None
        frame_HWC = frame() if callable(frame) else frame
        _check_frame(frame_HWC)
        starts_anew = self._starts_anew(frame_HWC, time_seconds)
        if starts_anew:
            self.counts.resets += 1
        return Admission(frame_HWC, time_seconds, starts_anew)

    def mark(self) -> TimelineMark:
        """Where the stream is; `rewind` takes it. No array is copied: none is written into."""
        counts = self.counts
        cut = None if self._cut is None else self._cut.mark()
        numbers = (counts.frames, counts.skipped, counts.resets)
        return self._clock.mark(), cut, self._window_start, numbers

    def rewind(self, mark: TimelineMark) -> None:
        """Be where `mark` was called: the frame since then failed and was not seen."""
        clock, cut, self._window_start, numbers = mark
        self._clock.rewind(clock)
        if self._cut is not None:
            self._cut.rewind(cut)
        self.counts.frames, self.counts.skipped, self.counts.resets = numbers

    def _starts_anew(self, frame_HWC: np.ndarray, time_seconds: float) -> bool:
        is_cut = self._cut is not None and self._cut(frame_HWC)
        window = self._options.window_seconds
        if self._window_start is None or self._clock.is_new_start or is_cut:
            is_first = self._window_start is None
            self._window_start = time_seconds
            return not is_first
        # The clock's tolerance: times that a container has rounded.
        if window is not None and time_seconds - self._window_start >= window - 1e-3:
            self._window_start = time_seconds
            return True
        return False

    def result(
        self,
        probabilities_N: np.ndarray,
        time_seconds: float,
        starts_anew: bool,
        latency_seconds: float,
    ) -> StreamResult:
        """The result of the step on a frame that was admitted, from the network's own answer."""
        # Here, not when the frame came: in a pool an older frame's answer may have come since.
        if starts_anew:
            self._smoother.reset()
        probabilities_N = self._smoother(probabilities_N, time_seconds)
        latency_ms = 1e3 * latency_seconds
        self.counts.add_latency(latency_ms)
        top = best_classes(probabilities_N, self._labels, self._options.top_k)
        return StreamResult(time_seconds, top, latency_ms, probabilities_N)

    def reset(self) -> None:
        """Forget the stream; the counts stay."""
        self._clock.reset()
        self._smoother.reset()
        if self._cut is not None:
            self._cut.reset()
        self._window_start = None

    def snapshot(self) -> dict[str, np.ndarray]:
        """Everything but the counts, as arrays."""
        arrays = {**self._clock.snapshot(), **self._smoother.snapshot()}
        if self._window_start is not None:
            arrays["window_start"] = np.array(self._window_start, np.float64)
        return {**arrays, **(self._cut.snapshot() if self._cut is not None else {})}

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Raise `DataError` unless `restore` can go on from these arrays; nothing is changed."""
        if extra := sorted(set(arrays) - set(_ARRAYS)):
            raise DataError(f"this is no snapshot of a stream: it has {extra[0][:100]}")
        self._clock.check(arrays)
        self._smoother.check(arrays, self._num_classes)
        if "last_picture" in arrays:
            check_array("last_picture", arrays["last_picture"], PICTURE_SHAPE, np.float32)
        if "window_start" in arrays:
            check_array("window_start", arrays["window_start"], (), np.float64)
            if float(arrays["window_start"]) > float(arrays["clock"][1]):
                raise DataError("the snapshot's window begins after its last frame")

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from a snapshot.

        Raises:
            DataError: it is not one of a stream; nothing is changed.
        """
        self.check(arrays)
        held = dict(arrays)
        self._clock.restore(held)
        self._smoother.restore(held)
        if self._cut is not None:
            self._cut.restore(held)
        start = held.get("window_start")
        self._window_start = None if start is None else float(start)


def _check_frame(frame_HWC: np.ndarray) -> None:
    if not isinstance(frame_HWC, np.ndarray):
        given = type(frame_HWC).__name__
    else:
        shape, dtype = frame_HWC.shape, frame_HWC.dtype
        if len(shape) == 3 and shape[2] == 3 and 0 not in shape and dtype == np.uint8:
            return
        given = f"{list(shape)} {dtype}"
    raise DataError(f"a frame is {given}, expected uint8 RGB [height, width, 3]")
