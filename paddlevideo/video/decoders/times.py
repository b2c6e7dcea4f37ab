"""`FrameTimes`: when each frame is shown. Clips and streams share it, so they agree on a file."""

import logging

logger = logging.getLogger(__name__)

DEFAULT_FRAME_RATE = 25.0
# A step forward of more than this is a jump of the clock (a damaged or a cut stream), not a pause.
_LONGEST_STEP_SECONDS = 24 * 3600.0


class FrameTimes:
    """The time of each frame of one file or connection, from 0 or ``start_seconds`` on.

    Times never decrease. They count from the first frame; where packets were lost in front of it,
    from the first of those, so that what is left of a damaged video keeps its times.

    A frame without a timestamp comes one frame after the one before it, at the stated rate; a
    warning says so once. Where timestamps jump back, as where two recordings were joined, times go
    on one frame later; one frame alone that is out of order moves none of the others.

    Args:
        name: of the source, for the warning.
        stated_rate: frames per second that the user states; None: what the container says, or 25.
        start_seconds: time of the first frame.
    """

    def __init__(self, name: str, stated_rate: float | None, start_seconds: float = 0.0) -> None:
        self._name = name
        self._stated_rate = stated_rate
        self._start_seconds = start_seconds
        self._origin_seconds: float | None = None  # timestamp of time 0
        self._lost_origin_seconds: float | None = None
        self._last_seconds: float | None = None
        self._last_stamp_seconds = 0.0
        # Origin and timestamp before a jump, while it may still be one frame out of order.
        self._before_jump: tuple[float, float] | None = None
        self._warned = False

    def lost(self, stamp_seconds: float) -> None:
        """Note the timestamp of a packet that did not decode."""
        if self._last_seconds is None and (
            self._lost_origin_seconds is None or stamp_seconds < self._lost_origin_seconds
        ):
            self._lost_origin_seconds = stamp_seconds

    def at(self, stamp_seconds: float, container_rate: float | None) -> float:
        """The time of a frame with the timestamp ``stamp_seconds``."""
        step = 1 / (self._stated_rate or container_rate or DEFAULT_FRAME_RATE)
        if self._origin_seconds is None:
            self._begin(stamp_seconds, step)
        assert self._origin_seconds is not None
        if self._before_jump is not None:
            origin, stamp = self._before_jump
            if stamp < stamp_seconds <= stamp + _LONGEST_STEP_SECONDS:
                self._origin_seconds = origin
            self._before_jump = None
        last = self._last_seconds
        seconds = stamp_seconds - self._origin_seconds
        if last is not None and not last <= seconds <= last + _LONGEST_STEP_SECONDS:
            if stamp_seconds < self._last_stamp_seconds:
                self._before_jump = (self._origin_seconds, self._last_stamp_seconds)
                seconds = last + step
                self._origin_seconds = stamp_seconds - seconds
            elif seconds < last:  # behind one that was out of order
                seconds = last
            else:
                seconds = last + step
                self._origin_seconds = stamp_seconds - seconds
        self._last_seconds, self._last_stamp_seconds = seconds, stamp_seconds
        return self._start_seconds + seconds

    def _begin(self, stamp_seconds: float, step: float) -> None:
        if self._last_seconds is not None:  # frames without timestamps came first
            self._origin_seconds = stamp_seconds - (self._last_seconds + step)
            return
        lost = self._lost_origin_seconds
        is_before = lost is not None and 0 < stamp_seconds - lost < _LONGEST_STEP_SECONDS
        self._origin_seconds = lost if is_before and lost is not None else stamp_seconds

    def count(self, container_rate: float | None) -> float:
        """The time of a frame without a timestamp."""
        rate = self._stated_rate or container_rate or DEFAULT_FRAME_RATE
        if not self._warned:
            self._warned = True
            logger.warning(
                "%s: frames without timestamps; taken as %g frames/s (--frame_rate states another)",
                self._name,
                rate,
            )
        self._last_seconds = 0.0 if self._last_seconds is None else self._last_seconds + 1 / rate
        if self._origin_seconds is not None:
            self._last_stamp_seconds = self._origin_seconds + self._last_seconds
        return self._start_seconds + self._last_seconds
