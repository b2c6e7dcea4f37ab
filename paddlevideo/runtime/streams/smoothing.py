"""`Smoother`: exponential smoothing of probabilities, in seconds rather than in steps."""

import math
from collections.abc import Mapping

import numpy as np

from paddlevideo.runtime.streams.snapshot_check import check_array
from paddlevideo.utils.errors import ConfigError, DataError


class Smoother:
    """Mixes each answer with the ones before it: ``p = k p_before + (1 - k) p_new``.

    ``k = exp(-gap / seconds)``, so an answer's weight falls to 1/e within ``seconds`` whatever the
    frame rate and however irregular the frames.

    Args:
        seconds: the time constant; None or 0 leaves the answers as they are.
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            raise ConfigError(f"smooth is {seconds} seconds, expected 0 or more")
        self._seconds = seconds or 0.0
        self.reset()

    def reset(self) -> None:
        """Forget the answers so far."""
        self._mean_N: np.ndarray | None = None
        self._time_seconds = 0.0

    def __call__(self, probabilities_N: np.ndarray, time_seconds: float) -> np.ndarray:
        """Return the smoothed probabilities [N] at ``time_seconds``."""
        if not self._seconds:
            return probabilities_N
        if self._mean_N is not None:
            gap = max(time_seconds - self._time_seconds, 0.0)
            keep = math.exp(-gap / self._seconds)
            probabilities_N = keep * self._mean_N + (1 - keep) * probabilities_N
        self._mean_N, self._time_seconds = probabilities_N, time_seconds
        return probabilities_N

    def snapshot(self) -> dict[str, np.ndarray]:
        """The answers so far as arrays; none before the first answer."""
        if self._mean_N is None:
            return {}
        return {
            "smooth_mean": np.array(self._mean_N),
            "smooth_time": np.array(self._time_seconds, np.float64),
        }

    def check(self, arrays: Mapping[str, np.ndarray], num_classes: int | None) -> None:
        """Raise `DataError` unless `restore` can go on from these arrays."""
        if ("smooth_mean" in arrays) != ("smooth_time" in arrays):
            raise DataError("the snapshot has a smoothed answer without its time, or the reverse")
        if "smooth_mean" in arrays:
            mean_N = arrays["smooth_mean"]
            size = mean_N.size if num_classes is None else num_classes
            dtype = mean_N.dtype if mean_N.dtype in (np.float32, np.float64) else np.float32
            check_array("smooth_mean", mean_N, (size,), dtype)
            if (mean_N < 0).any() or (mean_N > 1 + 1e-3).any():
                raise DataError("the snapshot's smooth_mean holds what is no probability")
            check_array("smooth_time", arrays["smooth_time"], (), np.float64)

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a snapshot."""
        self.reset()
        if "smooth_mean" in arrays:
            self._mean_N = np.array(arrays["smooth_mean"])
            self._time_seconds = float(arrays["smooth_time"])
