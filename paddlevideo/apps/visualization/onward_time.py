"""`OnwardTime`: the times of a stream's frames on one axis that only goes on."""

_NEW_START_SECONDS = 1.0  # as `FrameClock`: by more, another stream has begun


class OnwardTime:
    """Joins the parts of a stream whose times begin anew, such as a file in a loop.

    Where the time steps back by more than a second, the new part follows the old one at the gap
    that the old one's last frames had. Smaller steps back are frames out of order.
    """

    def __init__(self) -> None:
        self._first_seconds: float | None = None
        self._offset_seconds = 0.0
        self._last_seconds = 0.0
        self._gap_seconds = 0.04

    def __call__(self, time_seconds: float) -> float | None:
        """Seconds from the first frame on; None for a frame out of order or of the same time."""
        if self._first_seconds is None:
            self._first_seconds = time_seconds
            return 0.0
        onward = time_seconds - self._first_seconds + self._offset_seconds
        if onward < self._last_seconds - _NEW_START_SECONDS:
            joined = self._last_seconds + self._gap_seconds
            self._offset_seconds += joined - onward
            onward = joined
        elif onward <= self._last_seconds:
            return None
        else:
            self._gap_seconds = onward - self._last_seconds
        self._last_seconds = onward
        return onward
