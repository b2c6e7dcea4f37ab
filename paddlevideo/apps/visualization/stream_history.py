"""`StreamHistory`: what a plot of a stream needs, in memory that does not grow with the stream."""

from dataclasses import dataclass

import cv2
import numpy as np

from paddlevideo.apps.visualization.onward_time import OnwardTime

_THUMBNAIL_HEIGHT = 160  # pixels


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of the stream.

    Attributes:
        time_seconds: of the frame, from the stream's first.
        rgb: uint8 [H, W, 3].
    """

    time_seconds: float
    rgb: np.ndarray


class StreamHistory:
    """Keeps probabilities over time, and small pictures.

    There are at most ``max_bins`` moments (an even number). When they are full, each two
    neighbours become one: their mean, smallest and largest probability; a bin then takes twice as
    many steps as before.
    Pictures are treated alike: of more than ``max_thumbnails`` every other one goes.

    Args:
        num_classes: N.

    Attributes:
        num_steps: steps noted.
        steps_a_bin: steps that a full bin holds.
    """

    def __init__(self, num_classes: int, max_bins: int = 1024, max_thumbnails: int = 64) -> None:
        self.num_steps = 0
        self._max_bins, self._max_thumbnails = max_bins, max_thumbnails
        self.steps_a_bin = 1
        self._bins = 0
        self._in_last = 0  # steps in the last bin
        # Sums of times and of probabilities; smallest and largest.
        self._times: np.ndarray = np.zeros(max_bins, np.float64)
        self._sums: np.ndarray = np.zeros((max_bins, num_classes), np.float32)
        self._least, self._most = self._sums.copy(), self._sums.copy()
        self._total_N: np.ndarray = np.zeros(num_classes, np.float64)
        self._onward = OnwardTime()
        self._thumbnails: list[Thumbnail] = []
        self._thumbnail_gap = 0.0

    def add(self, time_seconds: float, probabilities_N: np.ndarray, frame_HWC: np.ndarray) -> None:
        """Note one step.

        Args:
            time_seconds: of the frame; where times begin anew the axis goes on.
            frame_HWC: uint8 RGB, what the model has seen.
        """
        onward = self._onward(time_seconds)
        if onward is None:
            return
        self.num_steps += 1
        self._total_N += probabilities_N
        if self._in_last == self.steps_a_bin or self._bins == 0:
            if self._bins == self._max_bins:
                self._halve()
            self._begin_bin(probabilities_N)
        last = self._bins - 1
        self._in_last += 1
        self._times[last] += onward
        self._sums[last] += probabilities_N
        np.minimum(self._least[last], probabilities_N, out=self._least[last])
        np.maximum(self._most[last], probabilities_N, out=self._most[last])
        self._add_thumbnail(onward, frame_HWC)

    def _begin_bin(self, probabilities_N: np.ndarray) -> None:
        new = self._bins
        self._bins += 1
        self._in_last = 0
        self._times[new], self._sums[new] = 0.0, 0.0
        self._least[new] = self._most[new] = probabilities_N

    def _halve(self) -> None:
        """Make one bin of each two; only called when all are full."""
        half = self._max_bins // 2
        self._times[:half] = self._times[::2] + self._times[1::2]
        self._sums[:half] = self._sums[::2] + self._sums[1::2]
        self._least[:half] = np.minimum(self._least[::2], self._least[1::2])
        self._most[:half] = np.maximum(self._most[::2], self._most[1::2])
        self._bins = half
        self.steps_a_bin *= 2
        self._in_last = self.steps_a_bin

    def _add_thumbnail(self, onward: float, frame_HWC: np.ndarray) -> None:
        if self._thumbnails and onward - self._thumbnails[-1].time_seconds < self._thumbnail_gap:
            return
        height, width = frame_HWC.shape[:2]
        zoom = min(1.0, _THUMBNAIL_HEIGHT / height)
        size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
        rgb = cv2.resize(frame_HWC, size, interpolation=cv2.INTER_AREA)
        self._thumbnails.append(Thumbnail(onward, rgb))
        if len(self._thumbnails) > self._max_thumbnails:
            self._thumbnails = self._thumbnails[::2]
            span = self._thumbnails[-1].time_seconds - self._thumbnails[0].time_seconds
            # A hair less: times are rounded, and each second frame would then be missed.
            self._thumbnail_gap = 0.99 * span / (len(self._thumbnails) - 1)

    @property
    def mean_N(self) -> np.ndarray:
        """Mean probability of each class over all steps."""
        mean: np.ndarray = self._total_N / max(self.num_steps, 1)
        return mean

    @property
    def times(self) -> np.ndarray:
        """[bins] seconds from the first frame: mean of each bin."""
        times: np.ndarray = self._times[: self._bins] / self._counts()
        return times

    def curves(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, smallest and largest probability of a class in each bin."""
        bins = slice(self._bins)
        return (
            self._sums[bins, index] / self._counts(),
            self._least[bins, index],
            self._most[bins, index],
        )

    def _counts(self) -> np.ndarray:
        counts = np.full(self._bins, self.steps_a_bin)
        counts[-1:] = self._in_last
        return counts

    def thumbnails_at(self, times: np.ndarray) -> list[Thumbnail]:
        """For each time the picture that is nearest to it."""
        held = np.array([item.time_seconds for item in self._thumbnails])
        return [self._thumbnails[int(np.abs(held - time).argmin())] for time in times]

    @property
    def num_thumbnails(self) -> int:
        """Pictures that are held."""
        return len(self._thumbnails)

    @property
    def thumbnail_aspect(self) -> float:
        """Width by height of the first picture."""
        height, width = self._thumbnails[0].rgb.shape[:2]
        return width / height
