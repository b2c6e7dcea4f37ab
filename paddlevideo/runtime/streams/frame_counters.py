"""How many frames the counters among a stream's states can hold."""

from collections.abc import Mapping, Sequence

import numpy as np

from paddlevideo.utils.errors import DataError

MOST_FRAMES = 2**31 - 1  # that a counter of 32 bits holds: 13 years at 5 frames/s


def largest_count(states: Mapping[str, np.ndarray], names: Sequence[str]) -> int:
    """The largest frame counter among the states; -1 if one is negative."""
    counts = [np.asarray(states[name]) for name in names]
    if any((count < 0).any() for count in counts):
        return -1
    return max((int(count.max()) for count in counts if count.size), default=0)


def check_counters(largest: int) -> None:
    """Raise `DataError` where a counter is negative (-1), or can hold no further frame."""
    if largest < 0:
        raise DataError("a frame counter among the states is negative; they are damaged")
    if largest >= MOST_FRAMES:
        raise DataError(
            f"a stream has had {MOST_FRAMES} frames, more than its counter holds; let it begin "
            "anew: reset() or a window"
        )
