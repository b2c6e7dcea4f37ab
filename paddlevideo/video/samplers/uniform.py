"""`UniformSampler`: the whole clip in equal parts, long or short."""

from typing import Literal

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.decoders.base import Kind
from paddlevideo.video.steps import SAMPLERS, FrameSampler, check_positive


@SAMPLERS.register
class UniformSampler(FrameSampler):
    """One frame of each of N equal parts of the video; nothing is left out at the end.

    Part i of N covers the frames [F*i/N, F*(i+1)/N) as real numbers. The frame is
    floor(F * (i + u) / N): u = 0.5 in evaluation, drawn from [0, 1) in training. Numbers never
    decrease; a video of fewer than N frames repeats some.

    ``num_clips`` above 1, for testing: clip j of n takes u = (j + 0.5) / n in each part. So each
    clip covers the whole video, and each sees other frames of it.

    Args:
        num_frames: N.
        jitter: what training draws: one u per part (``segment``), one u for all parts (``clip``,
            keeps the spacing even), or nothing (``none``, u = 0.5).
        num_clips: n.
    """

    def __init__(
        self,
        num_frames: int,
        jitter: Literal["segment", "clip", "none"] = "segment",
        num_clips: int = 1,
    ) -> None:
        check_positive(num_frames=num_frames, num_clips=num_clips)
        if jitter not in ("segment", "clip", "none"):
            raise ArgumentError(f'jitter must be segment, clip or none, got "{jitter}"')
        self.num_frames = num_frames
        self.jitter = jitter
        self.num_clips = num_clips

    def indices(
        self,
        num_frames: int,
        rng: np.random.Generator,
        training: bool,
        kind: Kind = "video",
        times_seconds: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return ``num_frames`` of the sampler for each clip, non-decreasing; see the class."""
        count, clips = self.num_frames, self.num_clips
        offsets: np.ndarray | float = (np.arange(clips)[:, None] + 0.5) / clips
        if training and self.jitter == "segment":
            offsets = rng.random(count)
        elif training and self.jitter == "clip":
            offsets = rng.random()
        positions = num_frames * (np.arange(count) + offsets) / count
        # Rounding of the product may reach F itself when u is just below 1.
        return np.minimum(positions.astype(np.int64), num_frames - 1).reshape(-1)
