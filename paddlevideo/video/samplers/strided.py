"""`StridedSampler`: evenly spaced frames with TensorFlow's formulas (docs/movinet.md)."""

import math

import numpy as np

from paddlevideo.utils.errors import ArgumentError, DataError
from paddlevideo.video.decoders.base import Kind
from paddlevideo.video.frame_choice import duration_seconds, nearest_frames
from paddlevideo.video.steps import SAMPLERS, FrameSampler, check_positive

_MAX_LENGTH = 2**40  # frames: a thousand years at 30 frames/s


@SAMPLERS.register
class StridedSampler(FrameSampler):
    """N frames, ``stride`` apart: frame k is offset + k * stride, the way MoViNet was trained.

    With L frames in the video:

    - evaluation: offset = max(0, floor((L - N * stride) / 2)), the middle;
    - training: offset uniform in 0 .. M - 1, M = L - (N - 1) * stride if that is positive, else L;
      the stride is uniform in max(stride - r, 1) .. stride + r - 1 for r = ``random_stride_range``
      above 0 (the upper end is left out, as TensorFlow does it: 5 with r = 1 means 4 or 5).

    A video that is too short is repeated from its start: frame numbers are taken modulo L.

    **Frames or time.** Without ``stride_fps`` the stride counts the frames of the file, so a clip
    covers twice the time in a video of half the frame rate. With it, the stride counts frames of a
    video of ``stride_fps`` frames per second, into which the file is turned by the times of its
    frames first: it has L = round(duration * stride_fps) frames, at least 1, and its frame i shows
    the file's frame nearest to the time i / stride_fps (`times.nearest_frames`). So the clip has
    stride_fps / stride frames per second whatever the file, also one of a varying rate; MoViNet's
    strides are for 25. A file of just ``stride_fps`` gives the same either way.

    ``num_clips`` above 1, for testing: n clips, the first from the start of the video, the last to
    its end: offsets are floor(j * max(0, L - N * stride) / (n - 1)) for j = 0 .. n - 1
    (``sample_linspace_sequence`` of TensorFlow's Model Garden). They may overlap, and in a short
    video they are equal.

    Args:
        num_frames: N.
        stride: see above.
        random_stride_range: r.
        stride_fps: frames per second of the video that the stride counts the frames of.
        num_clips: n.

    Raises:
        ArgumentError: a number below 1 (``random_stride_range``: below 0).
    """

    def __init__(
        self,
        num_frames: int,
        stride: int,
        random_stride_range: int = 0,
        stride_fps: float | None = None,
        num_clips: int = 1,
    ) -> None:
        check_positive(num_frames=num_frames, stride=stride, num_clips=num_clips)
        if random_stride_range < 0:
            raise ArgumentError(
                f"random_stride_range must not be negative, got {random_stride_range}"
            )
        if stride_fps is not None and not 0 < stride_fps < math.inf:
            raise ArgumentError(f"stride_fps must be above 0, got {stride_fps}")
        self.num_frames = num_frames
        self.stride = stride
        self.random_stride_range = random_stride_range
        self.stride_fps = stride_fps
        self.num_clips = num_clips

    def indices(
        self,
        num_frames: int,
        rng: np.random.Generator,
        training: bool,
        kind: Kind = "video",
        times_seconds: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the frame numbers, in the order of the clip; see the class.

        Raises:
            DataError: ``stride_fps`` is set, and the frames of the source have no times, or the
                last of them is too late to be true.
        """
        if self.stride_fps is None:
            return self._choose(num_frames, rng, training)
        if times_seconds is None:
            raise DataError(
                f"its frames have no times, as those of a folder of images, but StridedSampler has "
                f"stride_fps {self.stride_fps:g}; without stride_fps the stride counts the frames "
                "that are there"
            )
        length = duration_seconds(times_seconds) * self.stride_fps
        if not length < _MAX_LENGTH:
            raise DataError(
                f"its last frame has the time {times_seconds[-1]:.6g} s, which cannot be true; "
                "write the file anew with FFmpeg, or leave out stride_fps"
            )
        wanted = self._choose(max(1, round(length)), rng, training) / self.stride_fps
        return nearest_frames(times_seconds, wanted)

    @property
    def frame_rate(self) -> float | None:
        """stride_fps / stride; None where the stride counts the frames of the file."""
        return None if self.stride_fps is None else self.stride_fps / self.stride

    @property
    def trained_rates(self) -> tuple[float, float] | None:
        """The rates of the longest and the shortest stride that is drawn."""
        if self.stride_fps is None:
            return None
        shortest, end = self._drawn_strides()
        return self.stride_fps / (end - 1), self.stride_fps / shortest

    def _drawn_strides(self) -> tuple[int, int]:
        """The strides of training: from the first number to just below the second."""
        jitter = self.random_stride_range
        if not jitter:
            return self.stride, self.stride + 1
        return max(self.stride - jitter, 1), self.stride + jitter

    def _choose(self, length: int, rng: np.random.Generator, training: bool) -> np.ndarray:
        """TensorFlow's choice of the frames of a video of ``length`` frames."""
        stride = self.stride
        offset: int | np.ndarray
        if not training:
            free = max(0, length - self.num_frames * stride)
            offset = free // 2 if self.num_clips == 1 else _spread(free, self.num_clips)[:, None]
        else:
            if self.random_stride_range:
                stride = int(rng.integers(*self._drawn_strides()))
            free = length - (self.num_frames - 1) * stride
            offset = int(rng.integers(free if free > 0 else length))
        chosen: np.ndarray = (offset + stride * np.arange(self.num_frames)) % length
        return chosen.reshape(-1)


def _spread(free: int, number: int) -> np.ndarray:
    """``number`` whole offsets from 0 to ``free``, evenly spread."""
    return np.arange(number, dtype=np.int64) * free // (number - 1)
