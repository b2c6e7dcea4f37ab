"""Which frame of a video stands for a moment: the one rule of clips and streams alike."""

import numpy as np

# Times that differ by no more than this are one time: rounding, not motion.
TIE_SECONDS = 1e-6


def nearest_frames(times_seconds_N: np.ndarray, wanted_seconds_K: np.ndarray) -> np.ndarray:
    """Return, for each wanted time, the number of the frame nearest to it, int64 [K].

    Of frames that are equally near (within `TIE_SECONDS`) it is the earliest. So frames repeat
    where the video has a gap, are left out where it has more than are wanted, and the last one
    stands for every time behind it.

    Args:
        times_seconds_N: presentation times, at least one, never decreasing.
        wanted_seconds_K: in any order.
    """
    times_N: np.ndarray = np.asarray(times_seconds_N, np.float64)
    wanted_K: np.ndarray = np.asarray(wanted_seconds_K, np.float64)
    behind_K = np.minimum(np.searchsorted(times_N, wanted_K), len(times_N) - 1)
    before_K = np.maximum(behind_K - 1, 0)
    distance_K = np.minimum(
        np.abs(times_N[behind_K] - wanted_K), np.abs(times_N[before_K] - wanted_K)
    )
    # The first frame that is no further away, where several frames have (nearly) one time too.
    nearest_K = np.searchsorted(times_N, wanted_K - distance_K - TIE_SECONDS)
    # Beyond 2**33 s float64 is coarser than TIE_SECONDS, and the search may step past the end.
    frames_K: np.ndarray = np.minimum(nearest_K, len(times_N) - 1).astype(np.int64)
    return frames_K


def duration_seconds(times_seconds_N: np.ndarray) -> float:
    """Return the time from 0 to the end of the last frame, which lasts the median interval.

    0 for a single frame, whose own duration nothing tells.
    """
    times_N: np.ndarray = np.asarray(times_seconds_N, np.float64)
    if len(times_N) == 1:
        return 0.0
    return float(times_N[-1] + np.median(np.diff(times_N)))
