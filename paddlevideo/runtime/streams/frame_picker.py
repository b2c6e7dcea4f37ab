"""`FramePicker`: the frames of a recording that a model wants, found while the frames come in."""

import logging
from typing import Generic, TypeVar

from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.video.frame_choice import TIE_SECONDS

logger = logging.getLogger(__name__)

T = TypeVar("T")


class FramePicker(Generic[T]):
    """Chooses the frames that `nearest_frames` would, with one frame of look-ahead.

    The wanted moments are 0, 1 / rate, 2 / rate ... A frame that comes at its moment, or behind it
    and nearer than the one before, is taken at once; where the one before is nearer, that is known
    when the next comes. Where a recording has a gap, its frames are taken several times: each
    stands until the next is nearer. A gap longer than the limit ``gap_seconds`` is filled in part
    only, with a warning.

    Args:
        frame_rate: moments per second.
        name: of the recording, for the warning.
    """

    def __init__(self, frame_rate: float, name: str = "the recording") -> None:
        self._rate = frame_rate
        self._name = name
        self._tick = 0  # number of the next wanted moment
        self._last: tuple[float, T] | None = None  # the first frame of the newest time
        self._shortest_interval: float | None = None
        self._warned = False

    def offer(self, time_seconds: float, frame: T) -> list[tuple[float, T]]:
        """Take one more frame, whose time is not before that of the last one.

        Returns:
            The moments, in seconds from 0, that are decided now, each with the frame that is
            nearest to it: this one or the one before.
        """
        if self._last is None:
            self._last = time_seconds, frame
            # What lies before the first frame (lost to damage) is nearest to it.
            return [(moment, frame) for moment in self._moments_until(time_seconds)]
        last_seconds, last = self._last
        interval = time_seconds - last_seconds
        if interval <= TIE_SECONDS:
            return []  # the earlier of two frames of one time stands for it
        self._leave_out_gap(last_seconds, time_seconds)
        chosen = []
        for moment in self._moments_until(time_seconds):
            is_before = moment - last_seconds <= time_seconds - moment + TIE_SECONDS
            chosen.append((moment, last if is_before else frame))
        self._last = time_seconds, frame
        self._shortest_interval = min(self._shortest_interval or interval, interval)
        return chosen

    def end(self) -> list[tuple[float, T]]:
        """The moments that the last frame stands for: it lasts the shortest interval."""
        if self._last is None:
            return []
        last_seconds, last = self._last
        end = last_seconds + (self._shortest_interval or 0.0)
        return [(moment, last) for moment in self._moments_until(end) if moment < end - TIE_SECONDS]

    def _moments_until(self, time_seconds: float) -> list[float]:
        moments = []
        while self._tick / self._rate <= time_seconds + TIE_SECONDS:
            moments.append(self._tick / self._rate)
            self._tick += 1
        return moments

    def _leave_out_gap(self, last_seconds: float, time_seconds: float) -> None:
        longest = limit("gap_seconds")
        if time_seconds - last_seconds <= longest:
            return
        self._tick = max(self._tick, int((time_seconds - longest) * self._rate))
        if not self._warned:
            self._warned = True
            logger.warning(
                "%s: no frame for %.0f s; the last %g s of that gap are filled: %s",
                self._name, time_seconds - last_seconds, longest, how_to_raise("gap_seconds"),
            )  # fmt: skip
