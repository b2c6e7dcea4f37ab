"""Ranges of activations: counted in histograms while videos run, then narrowed."""

from typing import Literal

import numpy as np

from paddlevideo.utils.eight_bits import LEVELS, Range, range_of

RangeMethod = Literal["minmax", "percentile", "mse"]

_BINS = 4096  # even: halves are merged when the range doubles
_PERCENTILE = 99.99
_SHRINK = np.linspace(1.0, 0.3, 36)


_LEAST_WIDTH = 1e-30  # narrower bins are not apart in float32


class Histogram:
    """Counts of values around zero; doubles its width when a value lies outside.

    Attributes:
        low, high: the smallest and the largest value seen.
    """

    def __init__(self) -> None:
        self.low = self.high = 0.0
        self._half_width = 0.0
        self._counts: np.ndarray = np.zeros(_BINS, np.int64)

    def add(self, values: np.ndarray, limit: int | None = None) -> None:
        """Count finite values of any shape.

        Args:
            limit: count about so many of them, evenly spread; the extremes are of all.
        """
        flat = values.ravel()
        low, high = float(flat.min()), float(flat.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if limit is not None and flat.size > limit:
            flat = flat[:: flat.size // limit | 1]  # odd: rows of pixels are mostly even
        largest = max(-low, high)
        if largest == 0.0:
            self._counts[_BINS // 2] += flat.size
            return
        if self._half_width == 0.0:
            self._half_width = max(largest, _LEAST_WIDTH)
        while largest > self._half_width:
            self._double()
        width = self._half_width
        self._counts += np.histogram(flat, bins=_BINS, range=(-width, width))[0]

    def _double(self) -> None:
        pairs = self._counts.reshape(-1, 2).sum(axis=1)
        self._counts = np.zeros(_BINS, np.int64)
        self._counts[_BINS // 4 : 3 * _BINS // 4] = pairs
        self._half_width *= 2

    def range(self, method: RangeMethod) -> Range:
        """The range to quantise with.

        Args:
            method: ``minmax``: all that was seen; ``percentile``: without the rarest values at
                both ends; ``mse``: where rounding and clipping together err least.
        """
        if method == "minmax" or self._half_width == 0.0:
            return range_of(self.low, self.high)
        if method == "percentile":
            return range_of(*self._percentiles())
        return self._least_error()

    def _centres(self) -> np.ndarray:
        step = 2 * self._half_width / _BINS
        return (np.arange(_BINS) + 0.5) * step - self._half_width

    def _percentiles(self) -> tuple[float, float]:
        shares = np.cumsum(self._counts) / self._counts.sum()
        centres, rare = self._centres(), 1 - _PERCENTILE / 100
        low = centres[np.searchsorted(shares, rare)]
        high = centres[min(np.searchsorted(shares, 1 - rare), _BINS - 1)]
        return max(float(low), self.low), min(float(high), self.high)

    def _least_error(self) -> Range:
        used = np.flatnonzero(self._counts)
        centres, counts = self._centres()[used], self._counts[used]
        best = (np.inf, range_of(self.low, self.high))
        for share_low in _SHRINK if self.low < 0 else (1.0,):
            for share_high in _SHRINK if self.high > 0 else (1.0,):
                found = range_of(share_low * self.low, share_high * self.high)
                steps = np.rint(centres / found.scale) + found.zero_point
                back = (np.clip(steps, 0, LEVELS) - found.zero_point) * found.scale
                error = float((counts * (back - centres) ** 2).sum())
                if error < best[0]:
                    best = (error, found)
        return best[1]
