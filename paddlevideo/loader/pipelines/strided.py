"""`StridedSampler`: evenly spaced frames with TensorFlow's formulas (spec section 5)."""

import numpy as np

from paddlevideo.loader.decoders.base import Kind
from paddlevideo.loader.pipelines.base import SAMPLERS, FrameSampler, check_positive
from paddlevideo.utils.errors import DataError


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
    video of ``stride_fps`` frames per second, into which the file is turned by its own frame rate f
    first: it has L = round(frames * stride_fps / f) frames, and its frame i shows the file's frame
    floor((i + 1/2) * f / stride_fps). So the clip has stride_fps / stride frames per second
    whatever the file; MoViNet's strides are for 25. A file of just ``stride_fps`` gives the
    same either way.

    Args:
        num_frames: N.
        stride: see above.
        random_stride_range: r.
        stride_fps: frames per second of the video that the stride counts the frames of.

    Raises:
        ValueError: a number below 1 (``random_stride_range``: below 0).
    """

    def __init__(
        self,
        num_frames: int,
        stride: int,
        random_stride_range: int = 0,
        stride_fps: float | None = None,
    ) -> None:
        check_positive(num_frames=num_frames, stride=stride)
        if random_stride_range < 0:
            raise ValueError(f"random_stride_range must not be negative, got {random_stride_range}")
        if stride_fps is not None and not stride_fps > 0:
            raise ValueError(f"stride_fps must be above 0, got {stride_fps}")
        self.num_frames = num_frames
        self.stride = stride
        self.random_stride_range = random_stride_range
        self.stride_fps = stride_fps

    def indices(
        self,
        num_frames: int,
        rng: np.random.Generator,
        training: bool,
        kind: Kind = "video",
        fps: float | None = None,
    ) -> np.ndarray:
        """Return the frame numbers, in the order of the clip; see the class.

        Raises:
            DataError: ``stride_fps`` is set, and the source does not say its frame rate.
        """
        if self.stride_fps is None:
            return self._choose(num_frames, rng, training)
        if fps is None:
            raise DataError(
                f"its frame rate is not known, but StridedSampler has stride_fps "
                f"{self.stride_fps:g}; without stride_fps the stride counts the frames that are "
                "there"
            )
        frames_per_step = fps / self.stride_fps
        length = max(1, round(num_frames / frames_per_step))
        shown = (self._choose(length, rng, training) + 0.5) * frames_per_step
        return np.minimum(shown.astype(np.int64), num_frames - 1)

    def _choose(self, length: int, rng: np.random.Generator, training: bool) -> np.ndarray:
        """TensorFlow's choice of the frames of a video of ``length`` frames."""
        stride = self.stride
        if not training:
            offset = max(0, (length - self.num_frames * stride) // 2)
        else:
            jitter = self.random_stride_range
            if jitter:
                stride = int(rng.integers(max(stride - jitter, 1), stride + jitter))
            places = length - (self.num_frames - 1) * stride
            offset = int(rng.integers(places if places > 0 else length))
        chosen: np.ndarray = (offset + stride * np.arange(self.num_frames)) % length
        return chosen
