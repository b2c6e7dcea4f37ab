"""`FrameClock`: which frames of a stream to take, so that the model sees its own frame rate."""

import math
from collections.abc import Mapping

import numpy as np

from paddlevideo.runtime.streams.snapshot_check import check_array
from paddlevideo.utils.errors import ConfigError, DataError

# Containers round times to 1 ms; a frame that is early by that much has reached its moment.
_TOLERANCE_SECONDS = 1e-3
# Times may step back by a frame or so within one stream; by more, it is another stream.
_BACKWARDS_SECONDS = 1.0

ClockMark = tuple[float | None, float, int, bool]
"""Where a clock is."""


class FrameClock:
    """Samples a stream by the times of its frames, not by their number.

    The first frame is taken, then whenever the next multiple of ``1 / frame_rate`` after the first
    frame's time is reached. The multiples are counted from the first frame, so nothing drifts. A
    gap is not filled: the frame behind it is taken and the ones that would have lain in it are not
    made up. Frames up to 1 s before the last one taken are out of order and dropped; further back
    the stream has begun anew (a file in a loop, a camera that was restarted): the frame is taken
    as a first one, and `is_new_start` is True until the next frame.

    Args:
        frame_rate: frames per second the model wants.

    Attributes:
        is_new_start: whether the last frame offered began a stream anew.
    """

    def __init__(self, frame_rate: float) -> None:
        if not (math.isfinite(frame_rate) and frame_rate > 0):
            raise ConfigError(f"a frame rate of {frame_rate} frames/s is not above 0")
        self.frame_rate = float(frame_rate)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is a first one."""
        self.is_new_start = False
        self._origin_seconds: float | None = None
        self._last_seconds = 0.0
        self._tick = 0

    def take(self, time_seconds: float | None) -> float | None:
        """Return the frame's time if it is to be taken, else None.

        Args:
            time_seconds: of the frame. None: frames come at the model's own rate, and each is
                taken.

        Raises:
            DataError: the time is not a finite number.
        """
        self.is_new_start = False
        if time_seconds is None:
            time_seconds = self._next_seconds()
        time_seconds = _seconds(time_seconds)
        if not math.isfinite(time_seconds):
            raise DataError(f"a frame's timestamp is {time_seconds}, expected seconds")
        if self._origin_seconds is None:
            return self._begin(time_seconds)
        if time_seconds < self._last_seconds - _BACKWARDS_SECONDS:
            self.is_new_start = True
            return self._begin(time_seconds)
        passed = time_seconds - self._origin_seconds + _TOLERANCE_SECONDS
        tick = math.floor(passed * self.frame_rate)
        if tick <= self._tick:
            return None
        self._tick, self._last_seconds = tick, time_seconds
        return time_seconds

    def _begin(self, time_seconds: float) -> float:
        self._origin_seconds = self._last_seconds = time_seconds
        self._tick = 0
        return time_seconds

    def _next_seconds(self) -> float:
        if self._origin_seconds is None:
            return 0.0
        return self._origin_seconds + (self._tick + 1) / self.frame_rate

    def mark(self) -> ClockMark:
        """Where the clock is; `rewind` takes it."""
        return self._origin_seconds, self._last_seconds, self._tick, self.is_new_start

    def rewind(self, mark: ClockMark) -> None:
        """Be where `mark` was called: what was offered since then was not seen."""
        self._origin_seconds, self._last_seconds, self._tick, self.is_new_start = mark

    def snapshot(self) -> dict[str, np.ndarray]:
        """The clock's state as arrays."""
        origin = math.nan if self._origin_seconds is None else self._origin_seconds
        return {"clock": np.array([origin, self._last_seconds, self._tick], np.float64)}

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Raise `DataError` unless `restore` can go on from these arrays."""
        if "clock" not in arrays:
            raise DataError("this is no snapshot of a stream: it has no clock")
        check_array("clock", arrays["clock"], (3,), np.float64, is_finite=False)
        origin, last, tick = (float(value) for value in arrays["clock"])
        if math.isnan(origin):
            origin = last  # nothing was seen yet
        passed = (last - origin + _TOLERANCE_SECONDS) * self.frame_rate
        if not all(map(math.isfinite, (origin, last, tick, passed))) or last < origin:
            raise DataError("the snapshot's clock holds no times")
        if tick != math.floor(tick) or not abs(tick - passed) <= 2 + 1e-9 * abs(passed):
            raise DataError("the snapshot's clock counts frames that its times do not hold")

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a snapshot."""
        origin, last, tick = (float(value) for value in arrays["clock"])
        self._origin_seconds = None if math.isnan(origin) else origin
        self._last_seconds, self._tick = last, int(tick)
        self.is_new_start = False


def _seconds(time: object) -> float:
    is_number = isinstance(time, (int, float, np.integer, np.floating))
    if not is_number and getattr(time, "shape", None) != ():
        raise DataError(f"a frame's timestamp is {repr(time)[:100]}, expected seconds")
    try:
        return float(time)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"a frame's timestamp is {repr(time)[:100]}, expected seconds") from error
